/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/detect.h"
#include "format/folded.h"
#include "format/perfscript.h"
#include "format/perfscript_line.h"
#include "format/stackcollapse.h"

#include "base/file.h"

#include <errno.h>

static int decode(const char *text, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return perfscript_decode(slice_str(text), &format_limits_default, p, err);
}

static void decode_well(const char *text, struct profile *p)
{
	struct error err = { "" };
	if (decode(text, p, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_slice(struct slice s, const char *want)
{
	if (!slice_eq(s, slice_str(want)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_FMT(s), want);
}

static void headers_of_all_forms(void **state)
{
	(void)state;
#define NONE UINT32_MAX
	static const struct {
		const char *line, *comm;
		uint32_t pid, tid;
		int64_t period;
		uint64_t time_ns;
		const char *event, *rest;
	} cases[] = {
		{ "java 25607 4794564.109216: 1 cycles:", "java", NONE, 25607, 1, 4794564109216000, "cycles", "" },
		{ "java 12688 [002] 6544038.708352: 235 cpu-clock:", "java", NONE, 12688, 235, 6544038708352000,
		  "cpu-clock", "" },
		{ "V8 WorkerThread 25607 4794564.109216: 104345 cycles:", "V8 WorkerThread", NONE, 25607, 104345,
		  4794564109216000, "cycles", "" },
		{ "java 24636/25607 [000] 4794564.109216: 1 cycles:", "java", 24636, 25607, 1, 4794564109216000,
		  "cycles", "" },
		{ "V8 Worker 2 24636/25607 [000] 94564.109216456: 100 cycles:u: ", "V8 Worker 2", 24636, 25607, 100,
		  94564109216456, "cycles:u", "" },
		{ "java  3244 cpu-clock: ", "java", NONE, 3244, 0, 0, "cpu-clock", "" },
		{ "            perf  1234/1234  [001]   10.000001:          1 cpu/cycles,freq=1/ppp: \r", "perf", 1234,
		  1234, 1, 10000001000, "cpu/cycles,freq=1/ppp", "" },
		{ "swapper     0 [000] 1.5:  sched:sched_switch: prev_comm=a b prev_pid=1 ==> c", "swapper", NONE, 0, 0,
		  1500000000, "sched:sched_switch", "prev_comm=a b prev_pid=1 ==> c" },
		{ "a b 7 U     2.5:    9 cpu-clock:", "a b", NONE, 7, 9, 2500000000, "cpu-clock", "" },
		{ "a 7 KUH 9 cycles:", "a", NONE, 7, 9, 0, "cycles", "" },
		{ "a 7 [001] K 2.5: cycles:", "a", NONE, 7, 0, 2500000000, "cycles", "" },
		{ "U 7 U 2.5: cycles:", "U", NONE, 7, 0, 2500000000, "cycles", "" },
		{ "bash 7 [001] d.h1. 2.000001: irq:softirq_entry: vec=1", "bash", NONE, 7, 0, 2000001000,
		  "irq:softirq_entry", "vec=1" },
		{ ":-1    -1 [003] 3.000001: 7 cycles: ", ":-1", NONE, NONE, 7, 3000001000, "cycles", "" },
		{ "a 1 [000] ", "a", NONE, 1, 0, 0, "", "" },
		{ "a b 1", "a b", NONE, 1, 0, 0, "", "" },
		{ "kworker/0:1-mm 1 2.25:", "kworker/0:1-mm", NONE, 1, 0, 2250000000, "", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct perf_header h;
		if (!perf_header_parse(slice_str(cases[i].line), &h))
			fail_msg("no header: %s", cases[i].line);
		assert_slice(h.comm, cases[i].comm);
		assert_slice(h.event, cases[i].event);
		assert_slice(h.rest, cases[i].rest);
		assert_int_equal(h.has_pid ? h.pid : NONE, cases[i].pid);
		assert_int_equal(h.has_tid ? h.tid : NONE, cases[i].tid);
		assert_int_equal(h.period, cases[i].period);
		assert_int_equal(h.has_time ? h.time_ns : 0, cases[i].time_ns);
		assert_false(h.is_record);
	}
	static const char *const others[] = { "",
					      "a",
					      "a ",
					      "a b",
					      "12",
					      " 12",
					      "a 12x",
					      "a 1/ 2.0: c:",
					      "a 1 b c:",

					      "a 99999999999",
					      "; 1 2 x" };
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct perf_header h;
		if (perf_header_parse(slice_str(others[i]), &h))
			fail_msg("a header: \"%s\"", others[i]);
	}
}

static void frames_of_all_forms(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		uint64_t address;
		const char *name, *module;
		bool is_inlined;
	} cases[] = {
		{ "\tffffffff8103ce3b native_safe_halt+0xb ([kernel.kallsyms])", 0xffffffff8103ce3b, "native_safe_halt",
		  "[kernel.kallsyms]", false },
		{ "  40 [unknown] ([unknown])", 0x40, "", "", false },
		{ "7f1 [unknown] (/usr/lib/libc.so.6)", 0x7f1, "", "/usr/lib/libc.so.6", false },
		{ "7f1 f(int, char (*)(int)) (/a dir/x (1).so)", 0x7f1, "f(int, char (*)(int))", "/a dir/x (1).so",
		  false },
		{ "7f1 Foo::operator() const+0x1f (/memfd:x (deleted))", 0x7f1, "Foo::operator() const",
		  "/memfd:x (deleted)", false },
		{ "7f1 (anonymous namespace)::g+0x0 (inlined)", 0x7f1, "(anonymous namespace)::g", "", true },
		{ "1 start_kernel ([kernel.kallsyms].init.text)", 1, "start_kernel", "[kernel.kallsyms].init.text",
		  false },
		{ "7f1 no_module+0x1", 0x7f1, "no_module", "", false },
		{ "7f1", 0x7f1, "", "", false },
		{ "7f1 (/a)", 0x7f1, "", "/a", false },
		{ "\t 7f1  (/a)", 0x7f1, " ", "/a", false }, /* an empty symbol, not an unknown one */
		{ "7f1 0x+0xyz (/a)", 0x7f1, "0x+0xyz", "/a", false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct perf_frame f;
		if (!perf_frame_parse(slice_str(cases[i].line), &f))
			fail_msg("no frame: %s", cases[i].line);
		assert_true(f.address == cases[i].address);
		assert_slice(f.name, cases[i].name);
		assert_slice(f.module, cases[i].module);
		assert_int_equal(f.is_inlined, cases[i].is_inlined);
	}
	struct perf_frame f;
	assert_false(perf_frame_parse(slice_str("  main.c:12"), &f));
	assert_false(perf_frame_parse(slice_str("  "), &f));
	assert_false(perf_frame_parse(slice_str("10000000000000000 too_wide (/a)"), &f));
}

static const char mixed[] = "# cmdline : /usr/bin/perf record -g -- sleep 1\n"
			    "# ========\n"
			    "V8 Worker 10/11 [000] 1.000000: 100 cycles:u: \n"
			    "\t    7f3 leaf_inlined (inlined)\n"
			    "\t    7f3 physical+0x3 (/usr/bin/node)\n"
			    "  node.cc:42\n"
			    "\t    7f2 LazyCompile:~f app.js:1 (/tmp/perf-10.map)\n"
			    "\t    7f1 [unknown] (/usr/bin/node)\n"
			    "\n"
			    "V8 Worker 10/11 [000] 1.500000: 2 instructions: \n"
			    "\t    ffffffff81 do_syscall_64+0x1 ([kernel.kallsyms])\n"
			    "\t    ffffffff82 nf_hook ([nf_conntrack])\n"
			    "\t    7fff1 clock ([vdso])\n"
			    "\t    7f1 [unknown] (/usr/bin/node)\n"
			    "\n"
			    "V8 Worker 10/11 [000] 1.250000: 50 cycles:u: \n"
			    "\n";

static int64_t type_sum(const struct profile *p, const char *name)
{
	uint32_t type;
	int64_t sum = 0;
	assert_int_equal(profile_find_type(p, name, &type, NULL), 0);
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		sum += p->value[type].data[i];
	return sum;
}

static const struct frame *nth_frame(const struct profile *p, uint32_t sample, int up)
{
	struct node_id node = p->node.data[sample];
	while (up-- > 0)
		node = p->dict.node_parent.data[node.v];
	return &p->dict.frames.data[p->dict.node_frame.data[node.v].v];
}

static void samples_become_rows(void **state)
{
	(void)state;
	struct profile p;
	decode_well(mixed, &p);
	assert_int_equal(profile_n_samples(&p), 3);
	assert_int_equal(p.n_types, 3);
	assert_int_equal(type_sum(&p, "samples"), 3);
	assert_int_equal(type_sum(&p, "cycles:u"), 150);
	assert_int_equal(type_sum(&p, "instructions"), 2);
	assert_int_equal(profile_default_type(&p), 1);
	assert_int_equal(p.duration_ns, 500000000);
	assert_int_equal(p.comments.n, 1);
	assert_int_equal(p.node.data[2].v, 0); /* no stack */
	uint32_t n;
	const struct label *set = profile_label_set(&p, p.labels.data[0], &n);
	assert_int_equal(n, 4);
	for (uint32_t i = 0; i < n; i++) {
		const char *key = strtab_cstr(&p.dict.strings, set[i].key);
		if (strcmp(key, "pid") == 0)
			assert_int_equal(set[i].num, 10);
		else if (strcmp(key, "thread_id") == 0)
			assert_int_equal(set[i].num, 11);
		else if (strcmp(key, "thread_name") == 0)
			assert_string_equal(strtab_cstr(&p.dict.strings, set[i].str), "V8 Worker");
		else
			assert_string_equal(strtab_cstr(&p.dict.strings, set[i].str), "cycles:u");
	}
	profile_done(&p);
}

static void frames_know_their_kind(void **state)
{
	(void)state;
	struct profile p;
	decode_well(mixed, &p);
	const struct frame *inlined = nth_frame(&p, 0, 0), *physical = nth_frame(&p, 0, 1);
	assert_int_equal(inlined->flags, FRAME_INLINED);
	assert_int_equal(inlined->mapping.v, physical->mapping.v);
	assert_true(inlined->address == 0x7f3 && physical->address == 0x7f3);
	assert_int_equal(physical->line, 42);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.dict.functions.data[physical->function.v].file), "node.cc");
	assert_int_equal(nth_frame(&p, 0, 2)->kind, FRAME_JIT);
	assert_int_equal(nth_frame(&p, 0, 3)->kind, FRAME_USER);
	assert_int_equal(nth_frame(&p, 0, 3)->function.v, 0);
	assert_int_equal(nth_frame(&p, 1, 0)->kind, FRAME_KERNEL);
	assert_int_equal(nth_frame(&p, 1, 1)->kind, FRAME_KERNEL);
	assert_int_equal(nth_frame(&p, 1, 2)->kind, FRAME_USER);
	profile_done(&p);
}

static void assert_folds(const char *text, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct profile p;
	decode_well(text, &p);
	assert_int_equal(folded_encode(&p, 0, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void forms_of_files(void **state)
{
	(void)state;
	/* Without call chains: one line each, comms aligned to the right, one of
	 * them a hex number. */
	assert_folds("            perf  12 [001] 1.000001:  1 cycles:  ffffffff8104f45a a ([kernel.kallsyms])\n"
		     "              dd  13 [001] 1.000002:  1 cycles:            7f1 b+0x1 (/bin/dd)\n",
		     "a_[k] 1\nb 1\n");
	/* No empty lines, CRLF, tracepoints with their text, records between. */
	assert_folds("a 1 1.000001: e:f: x=1\r\n\t7f1 a (/a)\r\nb 1 1.000001: e:f: y=2\r\n\t7f2 b (/a)\r\n",
		     "a 1\nb 1\n");
	assert_folds("a 1/1 [000] 0.1: PERF_RECORD_MMAP2 1/1: [0x1(0x2) @ 0 08:01 1 0]: r-xp /a\n"
		     "a 1/1 [000] 0.2: 5 cycles: \n\t7f1 a (/a)\n\n",
		     "a 1\n");
	assert_folds("   a 1 1.000001: e:f: x=1\n   b 1 1.000002: e:f: y=2\n\t7f2 b (/a)\n\n", "[unknown] 1\nb 1\n");
	/* A stack that shares nothing, a part of, all of the one before. */
	assert_folds("a 1 e:\n\t3 x (/a)\n\t1 m (/a)\n\na 1 e:\n\t3 x (/a)\n\t2 y (/a)\n\t1 m (/a)\n\n"
		     "a 1 e:\n\t1 m (/a)\n\na 1 e:\n\t3 x (/a)\n\na 1 e:\n\t3 x (/a)\n\t1 m (/a)\n\n",
		     "m 1\nm;x 2\nm;y;x 1\nx 1\n");
}

static void assert_refused(const char *in, int code, const char *message)
{
	struct error err = { "" };
	struct profile p;
	assert_int_equal(decode(in, &p, &err), code);
	assert_string_equal(err.text, message);
	profile_done(&p);
}

static void messages_name_the_line(void **state)
{
	(void)state;
	assert_refused("", -ENODATA, "no sample in 0 lines");
	assert_refused("# only\n\n", -ENODATA, "no sample in 2 lines");
	assert_refused("a 1 e:\n\t7f1 a (/a)\nhello\n", -EBADMSG,
		       "line 3: neither the header of a sample nor a frame: \"hello\"");
	assert_refused("a 1 e:\n\t7f1 a (/a)\n\n\t7f1 a (/a)\n", -EBADMSG,
		       "line 4: a frame outside of a sample: \"\t7f1 a (/a)\"");
	assert_refused("a 1 e:\n\tzz a (/a)\n", -EBADMSG, "line 2: not a frame: \"\tzz a (/a)\"");
	assert_refused("a 1 e:\n\t7f1 a (/a)\n\t7f1 b (/a", -ENODATA, "line 3: the file ends within this line");
	assert_refused("a 1 e:\n\n\nb 1 [0", -ENODATA, "line 4: the file ends within this line");
}

static void limits_are_named(void **state)
{
	(void)state;
	struct format_limits l = format_limits_default;
	struct error err = { "" };
	struct profile p;
	l.depth = 2;
	l.n_samples = 3;
	l.n_locations = 3;
	l.n_comments = 1;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "a 1 e:\n\t1 a\n\t2 b\n\t1 a\n", "line 4: more than 2 frames" },
		{ "a 1 e:\n\na 1 e:\n\na 1 e:\n\na 1 e:\n\n", "line 7: more than 3 samples" },
		{ "a 1 e:\n\t1 a\n\t2 b\n\na 1 e:\n\t3 c\n\t4 d\n", "line 7: more than 3 different frames" },
		{ "# a\n# b\na 1 e:\n\n", "line 2: more than 1 comments" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(profile_init(&p, NULL), 0);
		assert_int_equal(perfscript_decode(slice_str(cases[i].text), &l, &p, &err), -E2BIG);
		assert_string_equal(err.text, cases[i].message);
		profile_done(&p);
	}
	l = format_limits_default;
	l.n_strings = 4;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(perfscript_decode(slice_str("a 1 e:\n\t1 f (/x)\n\t2 g (/x)\n"), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "line 3: more than 4 strings");
	profile_done(&p);
	l.n_strings = 5;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(perfscript_decode(slice_str("a 1 e:\n\nb 1 c:\n\nd 1 g:\n\n"), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "line 5: more than 5 strings");
	profile_done(&p);
	_cleanup_(buf_done)
	struct buf many = buf_of(1 << 20);
	for (int i = 0; i < PROFILE_MAX_TYPES; i++)
		buf_printf(&many, "a 1 e%d:\n\n", i);
	buf_add_byte(&many, 0);
	assert_refused((const char *)many.data, -E2BIG, "line 63: more than 31 different events");
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	bool done = false;
	for (size_t max = 1000; !done && max < 1 << 20; max += 61) {
		struct membudget budget = membudget_of(max);
		struct profile p;
		struct error err = { "" };
		int r = profile_init(&p, &budget);
		if (r == 0) {
			r = perfscript_decode(slice_str(mixed), &format_limits_default, &p, &err);
			assert_true(r == 0 || strstr(err.text, "does not fit"));
			profile_done(&p);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
		done = r == 0;
	}
	assert_true(done);
}

/* Decodes exactly these bytes (a sanitizer sees reads behind them) and
 * collapses what comes of it. */
static int try_bytes(const char *bytes, size_t size)
{
	static const struct stackcollapse_options options = { .kernel = true, .jit = true, .tid = true };
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	_cleanup_(free_ptr)
	char *copy = malloc(size + (size == 0));
	struct error err = { "" };
	struct profile p;
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	assert_int_equal(profile_init(&p, NULL), 0);
	int r = perfscript_decode(slice_of(copy, size), &format_limits_default, &p, &err);
	assert_true((r == 0) == (err.text[0] == 0));
	if (r == 0)
		assert_int_equal(stackcollapse_encode(&p, &options, &out, &err), 0);
	profile_done(&p);
	return r;
}

static void damage_never_crashes(void **state)
{
	(void)state;
	char bytes[sizeof(mixed)];
	for (size_t n = 0; n < sizeof(mixed); n++) {
		int r = try_bytes(mixed, n);
		assert_true(r == 0 || r == -ENODATA);
	}
	for (size_t i = 0; i < (sizeof(mixed) - 1) * 8; i++) {
		memcpy(bytes, mixed, sizeof(mixed));
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
		(void)try_bytes(bytes, sizeof(mixed) - 1);
	}
}

static void content_tells_it(void **state)
{
	(void)state;
	static const char *const scripts[] = {
		mixed,
		"a 1 e:\n\n",
		"a 1 2.5: e: text 12\n",
		"a 1 2.5: e: text;text 12\n",
		"a 1 [000] \n\t7f1 a (/a)\n\n",
		"   a 1 2.5: 1 cycles:  7f1 a (/a)\n",
		"a 1/1 [000] 0.1: PERF_RECORD_COMM: a:1/1\na 1/1 [000] 0.2: 5 cycles: \n\t7f1 a (/a)\n\n",
	};
	static const char *const folded[] = { "a 1\n", "a;b 12\n", "main 1;x 2\n", "a 1 e:;b 5\n" };
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
		if (format_detect(slice_str(scripts[i])) != FORMAT_PERFSCRIPT)
			fail_msg("not seen as perf script: %s", scripts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(folded); i++)
		if (format_detect(slice_str(folded[i])) != FORMAT_FOLDED)
			fail_msg("not seen as folded: %s", folded[i]);
	assert_int_equal(format_detect(slice_str("a 1 e: 5\n")), FORMAT_UNKNOWN);
	assert_int_equal(format_detect(slice_str("a 12 13\n")), FORMAT_UNKNOWN);
	assert_int_equal(format_detect(slice_str("Dear 12 friends:\nhello\n")), FORMAT_UNKNOWN);
	assert_string_equal(format_name(FORMAT_PERFSCRIPT), "perf script");
	struct error err = { "" };
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(format_decode(slice_str("a 1 e:\n\n?\n"), &format_limits_default, &p, NULL, &err), -EBADMSG);
	assert_string_equal(err.text, "perf script: line 3: neither the header of a sample nor a frame: \"?\"");
	profile_done(&p);
}

/* --- stackcollapse --- */

static void assert_collapses(const char *text, const struct stackcollapse_options *o, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct error err = { "" };
	struct profile p;
	decode_well(text, &p);
	if (stackcollapse_encode(&p, o, &out, &err) < 0)
		fail_msg("%s", err.text);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void names_are_rewritten(void **state)
{
	(void)state;
	static const struct stackcollapse_options plain = { 0 }, all = { .kernel = true, .jit = true };
	assert_collapses("java 1 1.5: e:\n"
			 "\t9 Lorg/a/Foo;::bar(Lorg/b;)V (/tmp/perf-1.map)\n"
			 "\t8 (swapper) (/x)\n"
			 "\t7 a(int)->b->c_[i] (/x)\n"
			 "\t6 net/http.(*Client).Do (/x)\n"
			 "\t5 (anonymous namespace)::f(int) (/x)\n"
			 "\t4 v8::(anonymous namespace)::g(int) (/x)\n"
			 "\t3 RegExp:\"[&<>']; (/tmp/perf-x.map)\n"
			 "\t2 [unknown] (/usr/lib/libc.so.6)\n"
			 "\t1  (/x)\n"
			 "\t1 sys ([kernel.kallsyms])\n\n",
			 &all,
			 "java;sys_[k]; ;[libc.so.6];RegExp:[&<>]:;v8::(anonymous namespace)::g;net/http.(*Client).Do;"
			 "a;b_[i];c_[i];org/a/Foo:::bar_[j] 1\n");
	assert_collapses("a b 1 1.5: e:\n\t1 inl (inlined)\n\t1 f (/x/vmlinux)\n\n", &all, "a_b;f_[k];inl 1\n");
	assert_collapses("a 1 1.5: 7 e:\n\n", &plain, "a 7\n");
	assert_collapses("a 1 1.5: e:\n\t1 f (/x)\n\nb 1 1.5: e:\n\t1 f (/x)\n", &plain, "a;f 1\n");
}

static void events_are_chosen(void **state)
{
	(void)state;
	static const struct stackcollapse_options first = { 0 }, named = { .event = "instructions", .addrs = true },
						  threads = { .tid = true }, processes = { .pid = true };
	assert_collapses(mixed, &first,
			 "V8_Worker 50\nV8_Worker;[node];LazyCompile:~f app.js:1;physical;leaf_inlined 100\n");
	assert_collapses(mixed, &named, "V8_Worker;[node <7f1>];clock;nf_hook;do_syscall_64 2\n");
	assert_collapses("a 5/6 1.5: e:\n\na 7 1.5: e:\n\na 0/0 1.5: e:\n\n", &threads, "a-5/6 1\na-?/0 1\na-?/7 1\n");
	assert_collapses("a 5/6 1.5: e:\n\na 7 1.5: e:\n\n", &processes, "a-5 1\na-? 1\n");
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct stackcollapse_options none = { .event = "branches" };
	struct error err = { "" };
	struct profile p;
	decode_well(mixed, &p);
	assert_int_equal(stackcollapse_encode(&p, &none, &out, &err), -ENOENT);
	assert_string_equal(err.text, "no sample of event \"branches\"");
	none.event = "pid"; /* a string of the profile, not an event */
	assert_int_equal(stackcollapse_encode(&p, &none, &out, &err), -ENOENT);
	profile_done(&p);
}

/* What has no labels of perf collapses too. */
static void other_profiles_collapse(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	static const struct stackcollapse_options all = { .kernel = true, .jit = true, .tid = true };
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str("b;read_[k] 2\na(int);b 3\n"), &format_limits_default, &p, NULL), 0);
	assert_int_equal(stackcollapse_encode(&p, &all, &out, NULL), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, "a;b 3\nb;read_[k] 2\n");
	profile_done(&p);
}

static void real_files_collapse(void **state)
{
	(void)state;
	const char *data = shared_data();
	if (!data)
		skip_because("no ../shared/data");
	static const char *const names[] = { "perf-cycles-instructions-01", "perf-java-stacks-01",
					     "perf-rust-Yamakaky-dcpu", "perf-vertx-stacks-01" };
	static const struct {
		const char *name;
		struct stackcollapse_options options;
	} modes[] = {
		{ "all", { .kernel = true, .jit = true } },
		{ "kernel", { .kernel = true } },
		{ "pid", { .pid = true } },
		{ "tid", { .tid = true } },
		{ "jit", { .jit = true } },
		{ "addrs", { .addrs = true } },
	};
	for (size_t i = 0; i < ARRAY_SIZE(names) * ARRAY_SIZE(modes); i++) {
		const char *name = names[i / ARRAY_SIZE(modes)], *mode = modes[i % ARRAY_SIZE(modes)].name;
		_cleanup_(buf_done)
		struct buf in = buf_of(64 << 20), want = buf_of(64 << 20), out = buf_of(64 << 20);
		enum format format = FORMAT_UNKNOWN;
		struct error err = { "" };
		struct profile p;
		char path[5000];
		(void)snprintf(path, sizeof(path), "%s/perf-script/%s.txt", data, name);
		assert_int_equal(file_read(path, &in, &err), 0);
		(void)snprintf(path, sizeof(path), "%s/perf-script/results/%s-collapsed-%s.txt", data, name, mode);
		assert_int_equal(file_read(path, &want, &err), 0);
		assert_int_equal(profile_init(&p, NULL), 0);
		if (format_decode(slice_of(in.data, in.n), &format_limits_default, &p, &format, &err) < 0)
			fail_msg("%s: %s", name, err.text);
		assert_int_equal(format, FORMAT_PERFSCRIPT);
		if (stackcollapse_encode(&p, &modes[i % ARRAY_SIZE(modes)].options, &out, &err) < 0)
			fail_msg("%s: %s", path, err.text);
		profile_done(&p);
		/* Both in the order of their bytes: equal as they are. */
		size_t at = 0, line = 0;
		while (at < out.n && at < want.n && out.data[at] == want.data[at])
			if (out.data[at++] == '\n')
				line = at;
		if (at < out.n || at < want.n)
			fail_msg("%s:\n%.*s\nis not\n%.*s", path, (int)(out.n - line > 300 ? 300 : out.n - line),
				 (const char *)out.data + line, (int)(want.n - line > 300 ? 300 : want.n - line),
				 (const char *)want.data + line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_all_forms),	   cmocka_unit_test(frames_of_all_forms),
		cmocka_unit_test(samples_become_rows),	   cmocka_unit_test(frames_know_their_kind),
		cmocka_unit_test(forms_of_files),	   cmocka_unit_test(messages_name_the_line),
		cmocka_unit_test(limits_are_named),	   cmocka_unit_test(budget_ends_in_an_error),
		cmocka_unit_test(damage_never_crashes),	   cmocka_unit_test(content_tells_it),
		cmocka_unit_test(names_are_rewritten),	   cmocka_unit_test(events_are_chosen),
		cmocka_unit_test(other_profiles_collapse), cmocka_unit_test(real_files_collapse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
