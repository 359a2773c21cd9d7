/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/detect.h"
#include "format/gperf.h"
#include "format/pprof.h"
#include "format/testprofile.h"

#include "base/file.h"

#include <errno.h>
#include <inttypes.h>

static int decode(struct slice bytes, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return gperf_decode(bytes, &format_limits_default, NULL, p, err);
}

/* --- google/pprof's own text of a profile, and ours in the same words --- */

static const char *str(const struct profile *p, struct str_id id)
{
	return strtab_cstr(&p->dict.strings, id);
}

static void put_frame(const struct profile *p, struct frame_id id, struct buf *out)
{
	const struct frame *f = &p->dict.frames.data[id.v];
	const struct mapping *m = &p->dict.mappings.data[f->mapping.v];
	const struct function *fn = &p->dict.functions.data[f->function.v];
	buf_printf(out, "\t0x%" PRIx64, f->address);
	if (f->mapping.v)
		buf_printf(out, " M=0x%" PRIx64 "/0x%" PRIx64 "/0x%" PRIx64 " %s", m->start, m->limit, m->offset,
			   str(p, m->path));
	if (f->function.v)
		buf_printf(out, " %s %s:%" PRIu32, str(p, fn->name), str(p, fn->file), f->line);
	buf_add_byte(out, '\n');
}

static void put_ours(const struct profile *p, struct buf *out)
{
	buf_printf(out, "period %s %s %" PRId64 "\n", str(p, p->period_type.type), str(p, p->period_type.unit),
		   p->period);
	for (uint32_t t = 0; t < p->n_types; t++)
		buf_printf(out, "%s/%s ", str(p, p->types[t].type), str(p, p->types[t].unit));
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		uint32_t n;
		const struct label *label = profile_label_set(p, p->labels.data[i], &n);
		buf_add_str(out, "\nsample");
		for (uint32_t t = 0; t < p->n_types; t++)
			buf_printf(out, " %" PRId64, p->value[t].data[i]);
		if (n)
			buf_printf(out, " %s:[%" PRId64 "]", str(p, label->key), label->num);
		buf_add_byte(out, '\n');
		for (struct node_id at = p->node.data[i]; at.v; at = p->dict.node_parent.data[at.v])
			put_frame(p, p->dict.node_frame.data[at.v], out);
	}
	for (uint32_t i = 1; i < p->dict.mappings.n; i++) {
		const struct mapping *m = &p->dict.mappings.data[i];
		buf_printf(out, "mapping 0x%" PRIx64 "/0x%" PRIx64 "/0x%" PRIx64 " %s\n", m->start, m->limit, m->offset,
			   str(p, m->path));
	}
}

#define THEIRS_MAX 4096

struct theirs {
	char *text, *period, *unit, *types;
	char *sample[THEIRS_MAX], *label[THEIRS_MAX];
	char *location[THEIRS_MAX], *mapping[64];
	uint32_t n_samples, n_locations, n_mappings;
	long long period_value;
};

static char *rstrip(char *s)
{
	for (size_t n = strlen(s); n && s[n - 1] == ' ';)
		s[--n] = 0;
	return s;
}

static void read_theirs(struct theirs *t, char *text)
{
	enum { HEAD, TYPES, SAMPLES, LOCATIONS, MAPPINGS } part = HEAD;
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');
		if (strncmp(line, "PeriodType: ", 12) == 0)
			t->period = line + 12;
		else if (strncmp(line, "Period: ", 8) == 0)
			t->period_value = strtoll(line + 8, NULL, 10);
		else if (strcmp(line, "Samples:") == 0)
			part = TYPES;
		else if (strcmp(line, "Locations") == 0)
			part = LOCATIONS;
		else if (strcmp(line, "Mappings") == 0)
			part = MAPPINGS;
		else if (part == TYPES)
			t->types = line, part = SAMPLES;
		else if (part == SAMPLES && strncmp(line, "                bytes:", 22) == 0)
			t->label[t->n_samples - 1] = line + 16;
		else if (part == SAMPLES)
			t->sample[t->n_samples++] = line;
		else if (part == LOCATIONS)
			t->location[++t->n_locations] = colon + 2;
		else if (part == MAPPINGS)
			t->mapping[++t->n_mappings] = rstrip(colon + 2);
		assert_true(t->n_samples < THEIRS_MAX && t->n_locations < THEIRS_MAX - 1);
	}
}

/* "0x42ef04 M=1 " or "0x0 com.f source.java:3:0 s=0" */
static void put_their_location(const struct theirs *t, char *location, struct buf *out)
{
	char copy[1024];
	(void)snprintf(copy, sizeof(copy), "%s", location);
	char *mapping = strstr(copy, " M="), *line = strstr(copy, " s=0");
	if (line) {
		*line = 0; /* and the column before it */
		*strrchr(copy, ':') = 0;
	}
	if (mapping) {
		*mapping = 0;
		buf_printf(out, "\t%s M=%s%s\n", copy, t->mapping[strtoul(mapping + 3, NULL, 10)],
			   strchr(t->mapping[strtoul(mapping + 3, NULL, 10)], ' ') ? "" : " ");
	} else {
		buf_printf(out, "\t%s\n", copy);
	}
}

static void put_theirs(char *text, struct buf *out)
{
	struct theirs *t = test_calloc(1, sizeof(*t));
	read_theirs(t, text);
	buf_printf(out, "period %s %lld\n%s ", t->period, t->period_value, t->types);
	for (uint32_t i = 0; i < t->n_samples; i++) {
		char *colon = strchr(t->sample[i], ':'), *save = NULL;
		*colon = 0;
		buf_add_str(out, "\nsample");
		for (char *v = strtok_r(t->sample[i], " ", &save); v; v = strtok_r(NULL, " ", &save))
			buf_printf(out, " %s", v);
		if (t->label[i])
			buf_printf(out, " %s", t->label[i]);
		buf_add_byte(out, '\n');
		for (char *id = strtok_r(colon + 1, " ", &save); id; id = strtok_r(NULL, " ", &save))
			put_their_location(t, t->location[strtoul(id, NULL, 10)], out);
	}
	for (uint32_t i = 1; i <= t->n_mappings; i++)
		buf_printf(out, "mapping %s%s\n", t->mapping[i], strchr(t->mapping[i], ' ') ? "" : " ");
	test_free(t);
}

static void assert_same_text(const struct buf *ours, const struct buf *theirs, const char *name)
{
	size_t at = 0;
	while (at < ours->n && at < theirs->n && ours->data[at] == theirs->data[at])
		at++;
	if (at == ours->n && at == theirs->n)
		return;
	size_t from = at > 120 ? at - 120 : 0;
	fail_msg("%s differs at %zu:\nours:   %.*s\ntheirs: %.*s", name, at,
		 (int)(ours->n - from > 240 ? 240 : ours->n - from), ours->data + from,
		 (int)(theirs->n - from > 240 ? 240 : theirs->n - from), theirs->data + from);
}

/* Else a profile kept for years says something else in wick than in pprof. */
static void real_files_say_what_pprof_says(void **state)
{
	(void)state;
	static const char *const names[] = { "cppbench.cpu", "cppbench.heap", "cppbench.growth",
					     "go.crc32.cpu", "gobench.cpu",   "gobench.heap",
					     "java.cpu",     "java.heap",     "java.contention" };
	const char *data = shared_data();
	if (!data)
		skip_because("no ../shared/data");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(buf_done)
		struct buf bytes = buf_of(1 << 24), text = buf_of(1 << 24), ours = buf_of(1 << 24),
			   theirs = buf_of(1 << 24);
		struct error err = { "" };
		struct profile p;
		enum format format = FORMAT_UNKNOWN;
		char path[4200];
		(void)snprintf(path, sizeof(path), "%s/pprof/%s", data, names[i]);
		assert_int_equal(file_read(path, &bytes, NULL), 0);
		(void)snprintf(path, sizeof(path), "%s/pprof/%s.string", data, names[i]);
		assert_int_equal(file_read(path, &text, NULL), 0);
		assert_int_equal(profile_init(&p, NULL), 0);
		if (format_decode(slice_of(bytes.data, bytes.n), &format_limits_default, &p, &format, &err) < 0)
			fail_msg("%s: %s", names[i], err.text);
		assert_int_equal(format, FORMAT_GPERF);
		put_ours(&p, &ours);
		buf_add_byte(&text, 0);
		put_theirs((char *)text.data, &theirs);
		assert_same_text(&ours, &theirs, names[i]);
		profile_done(&p);
	}
}

/* --- by hand --- */

static void assert_becomes(struct slice bytes, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct error err = { "" };
	struct profile p;
	if (decode(bytes, &p, &err) < 0)
		fail_msg("%s", err.text);
	put_ours(&p, &out);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void assert_refused(struct slice bytes, int code, const char *message)
{
	struct error err = { "" };
	struct profile p;
	assert_int_equal(decode(bytes, &p, &err), code);
	assert_string_equal(err.text, message);
	profile_done(&p);
}

struct cpu_form {
	uint32_t size;
	bool big_endian;
};

static void put_words(struct buf *b, struct cpu_form form, const uint64_t *words, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < form.size; k++)
			buf_add_byte(b, (uint8_t)(words[i] >> 8 * (form.big_endian ? form.size - 1 - k : k)));
}

/* Two stacks, the marker, a map. The leaf of the first is there twice. */
static void put_cpu(struct buf *b, struct cpu_form form)
{
	static const uint64_t words[] = { 0, 3, 0,	10000,	0,	/**/ 2, 3, 0x1010, 0x1010, 0x2020, /**/
					  1, 2, 0x1030, 0x2020, /**/ 0, 1,	0 };
	put_words(b, form, words, ARRAY_SIZE(words));
	buf_add_str(b, "build=/opt/bin\n00001000-00003000 r-xp 00000000 08:01 12  $build/a b\n"
		       "00003000-00004000 rw-p 00002000 08:01 12  /bin/a b\n");
}

static void cpu_words_of_every_kind(void **state)
{
	(void)state;
	static const struct cpu_form forms[] = { { 4, false }, { 4, true }, { 8, false }, { 8, true } };
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 16);
		put_cpu(&b, forms[i]);
		assert_true(gperf_looks(slice_of(b.data, b.n)));
		assert_becomes(slice_of(b.data, b.n), "period cpu nanoseconds 10000000\nsamples/count cpu/nanoseconds "
						      "\nsample 2 20000000\n\t0x1010 M=0x1000/0x3000/0x0 /opt/bin/a b\n"
						      "\t0x201f M=0x1000/0x3000/0x0 /opt/bin/a b\n"
						      "\nsample 1 10000000\n\t0x1030 M=0x1000/0x3000/0x0 /opt/bin/a b\n"
						      "\t0x201f M=0x1000/0x3000/0x0 /opt/bin/a b\n"
						      "mapping 0x1000/0x3000/0x0 /opt/bin/a b\n");
	}
}

/* Frames of the profiler itself would stand below every leaf. */
static void the_signal_handler_goes(void **state)
{
	(void)state;
	static const uint64_t words[] = { 0, 3, 0,    1,    0,	  /**/ 1, 4,	  0x10, 0x91, 0x81, 0x21, /**/
					  1, 4, 0x30, 0x91, 0x81, 0x41,	  /**/ 0, 1,	0 };
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 16);
	put_words(&b, (struct cpu_form){ 8, false }, words, ARRAY_SIZE(words));
	assert_becomes(slice_of(b.data, b.n), "period cpu nanoseconds 1000\nsamples/count cpu/nanoseconds "
					      "\nsample 1 1000\n\t0x10 M=0x0/0xffffffffffffffff/0x0 \n"
					      "\t0x20 M=0x0/0xffffffffffffffff/0x0 \n"
					      "\nsample 1 1000\n\t0x30 M=0x0/0xffffffffffffffff/0x0 \n"
					      "\t0x40 M=0x0/0xffffffffffffffff/0x0 \n"
					      "mapping 0x0/0xffffffffffffffff/0x0 \n");
}

static void heap_values_are_scaled_back(void **state)
{
	(void)state;
	/* 1 / (1 - exp(-1)) = 1.58 of each; Go's rate is half of what it writes. */
	static const char *const kinds[] = { "heap_v2/1024", "heapz_v2/1024", "heap/2048" };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char text[256];
		(void)snprintf(text, sizeof(text),
			       "heap profile: 10: 10240 [10: 10240] @ %s\n10: 10240 [10: 10240] @ 0x11\n", kinds[i]);
		assert_becomes(slice_str(text), "period space bytes 1024\nobjects/count space/bytes "
						"\nsample 15 16199 bytes:[1024]\n"
						"\t0x10 M=0x0/0xffffffffffffffff/0x0 \n"
						"mapping 0x0/0xffffffffffffffff/0x0 \n");
	}
	assert_becomes(slice_str("heap profile: 1: 8 [5: 80] @ heapprofile\n# a comment\n 1: 8 [5: 80] @ 0x11 0x21\n"
				 "0: 0 [0: 0] @\nMAPPED_LIBRARIES:\n10-20: /bin/x (@0) abcd\n20-30 /lib/y.so\n"),
		       "period space bytes 1\n"
		       "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes "
		       "\nsample 5 80 1 8 bytes:[8]\n\t0x10 M=0x10/0x20/0x0 /bin/x\n\t0x20 M=0x20/0x30/0x0 /lib/y.so\n"
		       "\nsample 0 0 0 0 bytes:[0]\nmapping 0x10/0x20/0x0 /bin/x\nmapping 0x20/0x30/0x0 /lib/y.so\n");
	assert_becomes(slice_str("heap profile: 1: 8 [1: 8] @ fragmentationz\n1: 8 [1: 8] @ 0x11\n"),
		       "period space bytes 1\nobjects/count space/bytes \nsample 1 8 bytes:[8]\n"
		       "\t0x10 M=0x0/0xffffffffffffffff/0x0 \nmapping 0x0/0xffffffffffffffff/0x0 \n");
}

static void delays_become_nanoseconds(void **state)
{
	(void)state;
	assert_becomes(slice_str("--- contentionz 1 ---\ncycles/second = 2000000000\nsampling period = 100\n"
				 "ms since reset = 5\ndiscarded samples = 0\n 40 3 @ 0x11 0x21\n--- other ---\n"
				 "what is this\n--- Memory map: ---\n0-30 /bin/x\n"),
		       "period contentions count 100\ncontentions/count delay/nanoseconds \nsample 300 2000\n"
		       "\t0x10 M=0x0/0x30/0x0 /bin/x\n\t0x20 M=0x0/0x30/0x0 /bin/x\nmapping 0x0/0x30/0x0 /bin/x\n");
	assert_becomes(slice_str("--- mutex:\ncycles/second=1000000000\nsampling period=1\n7 1 @ 0x1\n#\t0x0\tx\n"),
		       "period contentions count 1\ncontentions/count delay/nanoseconds \nsample 1 7\n\t0x0\n");
}

static void goroutines_are_counted(void **state)
{
	(void)state;
	assert_becomes(
		slice_str("goroutine profile: total 7\n6 @ 0x11 0x21\n#\t0x10\tmain.f+0x1\t/f.go:1\n\n1 @ 0x31\n"),
		"period goroutine count 1\ngoroutine/count "
		"\nsample 6\n\t0x10 M=0x0/0xffffffffffffffff/0x0 \n\t0x20 M=0x0/0xffffffffffffffff/0x0 \n"
		"\nsample 1\n\t0x30 M=0x0/0xffffffffffffffff/0x0 \nmapping 0x0/0xffffffffffffffff/0x0 \n");
}

static void threads_stand_where_they_stand(void **state)
{
	(void)state;
	static const char text[] = "--- threadz 1 ---\n\n"
				   "--- Thread 7f1 (name: main/14748) stack: ---\n"
				   "  PC: 0x1011 libc: nanosleep()\n    0x1010: libc: sleep()\n  0x2021 main\n"
				   "--- Thread 7f2 (name: w/1) stack: ---\n  [same as previous thread]\n"
				   "--- Thread 7f3 (name: w/2) stack: ---\n  0x2021\n"
				   "--- Memory map: ---\n1000-3000: /bin/x\n";
	assert_becomes(slice_str(text), "period thread count 1\nthread/count "
					"\nsample 2\n\t0x1011 M=0x1000/0x3000/0x0 /bin/x\n"
					"\t0x100f M=0x1000/0x3000/0x0 /bin/x\n\t0x2020 M=0x1000/0x3000/0x0 /bin/x\n"
					"\nsample 1\n\t0x2021 M=0x1000/0x3000/0x0 /bin/x\n"
					"mapping 0x1000/0x3000/0x0 /bin/x\n");
}

static void java_names_its_frames(void **state)
{
	(void)state;
	static const char text[] = "--- contentionz 1 ---\nformat = java\nresolution = microseconds\n"
				   "sampling period = 10\n  3  2 @ 0x1 0x2 0x3 0x4 0x5\n\n"
				   "0x01 a.f (A.java:12)\n 0x2 a.g(int, (x)) (A.java:-1)\n0x3 memcpy (/lib/libc.so)\n"
				   "0x4 generated stub/JIT\n0x77 unused (B.java:1)\nnoise\n";
	assert_becomes(slice_str(text), "period contentions count 10\ncontentions/count delay/microseconds "
					"\nsample 20 30\n\t0x0 a.f A.java:12\n\t0x0 a.g(int, (x)) A.java:0\n"
					"\t0x0 memcpy libc.so:0\n\t0x0 STUB :0\n\t0x5 M=0x0/0xffffffffffffffff/0x0 \n"
					"mapping 0x0/0xffffffffffffffff/0x0 \n");
}

/* --- mappings --- */

static void assert_mapped(const char *map, const char *want)
{
	char text[2048];
	(void)snprintf(text, sizeof(text),
		       "heap profile: 1: 8 [1: 8] @ growthz\n1: 8 [1: 8] @ 0x400101 0x500101 0x600101\n"
		       "--- Memory map: ---\n%s",
		       map);
	struct error err = { "" };
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 16);
	struct profile p;
	if (decode(slice_str(text), &p, &err) < 0)
		fail_msg("%s", err.text);
	for (struct node_id at = p.node.data[0]; at.v; at = p.dict.node_parent.data[at.v])
		put_frame(&p, p.dict.node_frame.data[at.v], &out);
	for (uint32_t i = 0; i < p.comments.n; i++)
		buf_printf(&out, "# %s\n", str(&p, p.comments.data[i]));
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void maps_are_put_right(void **state)
{
	(void)state;
	/* Neighbours of one file are one; the program comes first. */
	assert_mapped("500000-500080 /lib/a.so\n500080-500200 /lib/a.so\n400000-400200: prog\n",
		      "\t0x400100 M=0x400000/0x400200/0x0 prog\n\t0x500100 M=0x500000/0x500200/0x0 /lib/a.so\n"
		      "\t0x600100 M=0x0/0xffffffffffffffff/0x0 \n");
	/* A start that the offset explains; a part that was left out. */
	assert_mapped("400400-400800 r-xp 00000400 08:01 1 /bin/prog (deleted)\n"
		      "600200-600300 r-xp 00000200 08:01 2 /lib/b.so\n500000-600000 r-xs 00000000 08:01 3 /x\n",
		      "\t0x400100 M=0x400000/0x400800/0x0 /bin/prog\n\t0x500100 M=0x500000/0x600000/0x0 /x\n"
		      "\t0x600100 M=0x600000/0x600300/0x0 /lib/b.so\n");
	/* The first of several that hold an address; log prefixes; noise. */
	assert_mapped(
		"I0101 12:00 main.cc:12] 0x400000-0x700000: /first\nwhat?\n500000-501000: /second\nno map\n",
		"\t0x400100 M=0x400000/0x700000/0x0 /first\n\t0x500100 M=0x400000/0x700000/0x0 /first\n"
		"\t0x600100 M=0x400000/0x700000/0x0 /first\n# 2 lines of the memory map say nothing of a mapping\n");
	assert_mapped("400000-500000: /anon_hugepage (deleted)\n500000-700000 /bin/prog\n",
		      "\t0x400100 M=0x0/0xffffffffffffffff/0x0 \n\t0x500100 M=0x500000/0x700000/0x0 /bin/prog\n"
		      "\t0x600100 M=0x500000/0x700000/0x0 /bin/prog\n");
}

/* --- bad input --- */

static void messages_name_the_place(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
		int code;
	} cases[] = {
		{ "heap profile: x\n", "line 1: not \"heap profile: N: BYTES [N: BYTES] @ KIND\"", -EBADMSG },
		{ "heap profile: 1: 2 [3: 4] @ heap_v9\n",
		  "line 1: a heap profile of kind \"heap_v9\", which wick does not know", -EPROTONOSUPPORT },
		{ "heap profile: 1: 2 [3: 4] @ heap/x\n", "line 1: not a sampling rate: \"x\"", -EBADMSG },
		{ "heap profile: 1: 2 [3: 4] @ heap/2\n1: 2 [3: 4] 0x1\n",
		  "line 2: not \"N: BYTES [N: BYTES] @ ADDRESSES\"", -EBADMSG },
		{ "heap profile: 1: 2 [3: 4] @ heap/2\n0: 2 [3: 4] @ 0x1\n", "line 2: 2 bytes in 0 objects", -EBADMSG },
		{ "heap profile: 1: 2 [3: 4] @ heap/2\n1: 2 [3: 4] @ 0x1 zz\n", "line 2: not an address: \"zz\"",
		  -EBADMSG },
		{ "heap profile: 1: 2 [3: 4] @ heap/2\n1: 2 [3: 4] @ 0x12345678901234567\n",
		  "line 2: not an address: \"12345678901234567\"", -EBADMSG },
		{ "heap profile: 1: 2 [3: 4] @ heap/2\n1: 2 [3: 4] @ 0x1", "line 2: the file ends within this line",
		  -ENODATA },
		{ "goroutine profile: total 1\nx @ 0x1\n", "line 2: the count is not a whole number", -EBADMSG },
		{ "goroutine profile: total 1\n1 0x1\n", "line 2: not \"N @ ADDRESSES\"", -EBADMSG },
		{ "goroutine profile: total 1\n9223372036854775808 @ 0x1\n",
		  "line 2: the count does not fit into 63 bits", -EBADMSG },
		{ "--- mutex:\nwhat = 1\n", "line 2: unknown attribute \"what\"", -EBADMSG },
		{ "--- mutex:\nsampling period = x\n", "line 2: the value is not a whole number", -EBADMSG },
		{ "--- mutex:\n1 @ 0x1\n", "line 2: the number of contentions is not a whole number", -EBADMSG },
		{ "--- mutex:\nsampling period = 4\n1 4611686018427387904 @ 0x1\n",
		  "line 3: contentions times the period do not fit into 63 bits", -EBADMSG },
		{ "--- threadz 1 ---\n--- x\n", "line 2: not \"--- Thread ID (name: NAME/ID) stack: ---\"", -EBADMSG },
		{ "--- Thread 1 (name: a/1) stack: ---\n same as previous thread\n",
		  "line 2: same as a previous thread, but there is none", -EBADMSG },
		{ "--- heapz 1 ---\nformat = cobol\n", "line 2: format \"cobol\" is not java", -EBADMSG },
		{ "--- heapz 1 ---\nformat = java\n", "line 2: no resolution before the first sample", -EBADMSG },
		{ "--- heapz 1 ---\nresolution=bytes\n 12 0 @ 0x1\n", "line 3: 12 bytes in 0 objects", -EBADMSG },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(slice_str(cases[i].text), cases[i].code, cases[i].message);
	static const struct cpu_form form = { 4, false };
	static const uint64_t deep[] = { 0, 3, 0, 1, 0, 1, 100, 0x1 }, open[] = { 0, 3, 0, 1, 0, 1, 1, 0x10 },
			      many[] = { 0, 3, 0, 1, 0, UINT64_C(1) << 63, 1, 16 };
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 16);
	put_words(&b, form, deep, ARRAY_SIZE(deep));
	assert_refused(slice_of(b.data, b.n), -ENODATA, "at byte 24: sample 1: the file ends before its frames");
	b.n = 0;
	put_words(&b, form, open, ARRAY_SIZE(open));
	assert_refused(slice_of(b.data, b.n), -ENODATA, "at byte 32: sample 2: the file ends before the end marker");
	b.n = 0;
	put_words(&b, (struct cpu_form){ 8, true }, many, ARRAY_SIZE(many));
	assert_refused(slice_of(b.data, b.n), -EBADMSG,
		       "at byte 40: sample 1: count 9223372036854775808 does not fit into 63 bits");
}

static void assert_salvaged(struct slice bytes, uint32_t n_samples, uint32_t n_mapped, const char *end)
{
	struct salvage salvage = { 0 };
	struct error err = { "" };
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	if (gperf_decode(bytes, &format_limits_default, &salvage, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(salvage.end.text, end);
	assert_int_equal(profile_n_samples(&p), n_samples);
	uint32_t n = 0;
	for (uint32_t i = 1; i < p.dict.frames.n; i++)
		n += p.dict.mappings.data[p.dict.frames.data[i].mapping.v].path.v != 0;
	assert_int_equal(n, n_mapped);
	profile_done(&p);
}

/* What is whole is kept: samples, and lines of the map that stands behind. */
static void half_files_keep_what_is_whole(void **state)
{
	(void)state;
	static const uint64_t samples[] = { 0, 3, 0, 10, 0, 5, 1, 0x1100, 7, 2, 0x2100, 0x1100, 0, 1, 0 };
	static const char map[] = "1000-2000 r-xp 00000000 08:01 12 /bin/a\n2000-3000 r-xp 00000000 08:01 13 /bin/b\n";
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 16);
	put_words(&b, (struct cpu_form){ 8, false }, samples, ARRAY_SIZE(samples));
	size_t n_words = b.n, first_line = strcspn(map, "\n") + 1;
	buf_add_str(&b, map);
	assert_salvaged(slice_of(b.data, b.n), 2, 3, "");
	assert_salvaged(slice_of(b.data, n_words + first_line + 20), 2, 2,
			"ends in the middle of line 2 behind the samples, at byte 180");
	assert_salvaged(slice_of(b.data, n_words + 5), 2, 0,
			"ends in the middle of line 1 behind the samples, at byte 125");
	assert_salvaged(slice_of(b.data, n_words - 1), 2, 0, "ends in the middle of sample 3, at byte 119");
	assert_salvaged(slice_of(b.data, (size_t)8 * 11), 1, 0, "ends in the middle of sample 2, at byte 88");
	assert_salvaged(slice_str("goroutine profile: total 2\n1 @ 0x11\n1 @ 0x1"), 1, 0,
			"ends in the middle of line 3, at byte 43");
	/* Half of an id's name would be another name. */
	assert_salvaged(
		slice_str("--- heapz 1 ---\nformat = java\nresolution = bytes\n 8 1 @ 0x1 0x2\n\n 0x1 a.b\n 0x2 a."), 1,
		0, "ends in the middle of line 7, at byte 81");
}

static void limits_are_named(void **state)
{
	(void)state;
	static const char text[] = "goroutine profile: total 3\n1 @ 0x1 0x2\n1 @ 0x3\n1 @ 0x4\n---\n"
				   "MAPPED_LIBRARIES:\n1-2 a\n3-4 b\n5-6 c\n7-8 d\n9-a e\n";
	static const struct {
		struct format_limits limits;
		const char *message;
	} cases[] = {
		{ { .input_size = 10, .n_samples = 9, .n_locations = 9, .n_strings = 9, .depth = 9 },
		  "more than 10 bytes" },
		{ { .input_size = 999, .n_samples = 2, .n_locations = 9, .n_strings = 9, .depth = 9 },
		  "line 4: more than 2 samples" },
		{ { .input_size = 999, .n_samples = 9, .n_locations = 3, .n_strings = 9, .depth = 9 },
		  "line 4: more than 3 different addresses" },
		{ { .input_size = 999, .n_samples = 9, .n_locations = 4, .n_strings = 9, .depth = 9 },
		  "line 11: more than 4 mappings" },
		{ { .input_size = 999, .n_samples = 9, .n_locations = 9, .n_strings = 2, .depth = 9 },
		  "line 9: more than 2 strings" },
		{ { .input_size = 999, .n_samples = 9, .n_locations = 9, .n_strings = 9, .depth = 1 },
		  "line 2: more than 1 frames" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		struct profile p;
		assert_int_equal(profile_init(&p, NULL), 0);
		assert_int_equal(gperf_decode(slice_str(text), &cases[i].limits, NULL, &p, &err), -E2BIG);
		assert_string_equal(err.text, cases[i].message);
		profile_done(&p);
	}
	struct format_limits l = format_limits_default;
	struct error err;
	struct profile p;
	l.n_strings = 2;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(gperf_decode(slice_str("--- heapz 1 ---\nformat = java\nresolution = bytes\n 8 1 @ 0x1 0x2\n"
						"0x1 f (A.java:1)\n0x2 g (A.java:2)\n"),
				      &l, NULL, &p, &err),
			 -E2BIG);
	assert_string_equal(err.text, "line 6: more than 2 strings");
	profile_done(&p);
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 16);
	put_cpu(&b, (struct cpu_form){ 8, false });
	bool done = false;
	for (size_t max = 1000; !done && max < 1 << 20; max += 61) {
		struct membudget budget = membudget_of(max);
		struct profile p;
		struct error err = { "" };
		int r = profile_init(&p, &budget);
		if (r == 0) {
			r = gperf_decode(slice_of(b.data, b.n), &format_limits_default, NULL, &p, &err);
			assert_true(r == 0 || strstr(err.text, "does not fit"));
			profile_done(&p);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
		done = r == 0;
	}
	assert_true(done);
}

static const char *const samples_of_all[] = {
	"heap profile: 1: 8 [5: 80] @ heap/2048\n1: 8 [5: 80] @ 0x11\n--- Memory map: ---\n10-20: /x (@0) ab\n",
	"--- mutex:\ncycles/second=1000000000\nsampling period=1\n7 1 @ 0x1\n",
	"goroutine profile: total 7\n6 @ 0x11 0x21\n",
	"--- Thread 7f1 (name: main/1) stack: ---\n 0x1011\n 0x1010\n--- Memory map: ---\n1000-3000: /bin/x\n",
	"--- heapz 1 ---\nformat = java\nresolution = bytes\n 12 2 @ 0x1 0x2\n 0x1 a.f (A.java:1)\n 0x2 GC\n",
};

static void cut_and_flip(struct slice whole)
{
	for (size_t n = 0; n < whole.size; n++) {
		_cleanup_(free_ptr)
		uint8_t *cut = malloc(n ? n : 1);
		struct error err = { "" };
		struct profile p;
		memcpy(cut, whole.data, n);
		int r = decode(slice_of(cut, n), &p, &err);
		assert_true(r == 0 || err.text[0]);
		/* Whole lines are whole; a line cut short never passes. */
		assert_true(r < 0 || cut[n - 1] == '\n' || cut[n - 1] == ' ' || memchr(cut, 0, n));
		profile_done(&p);
	}
	_cleanup_(free_ptr)
	uint8_t *flipped = malloc(whole.size);
	memcpy(flipped, whole.data, whole.size);
	for (size_t bit = 0; bit < whole.size * 8; bit++) {
		struct error err = { "" };
		struct profile p;
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = decode(slice_of(flipped, whole.size), &p, &err);
		assert_true(r == 0 || err.text[0]);
		profile_done(&p);
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void cut_and_flipped_bytes_do_no_harm(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 16);
	put_cpu(&b, (struct cpu_form){ 4, true });
	cut_and_flip(slice_of(b.data, b.n));
	for (size_t i = 0; i < ARRAY_SIZE(samples_of_all); i++)
		cut_and_flip(slice_str(samples_of_all[i]));
}

/* What is converted to pprof today must be what is read tomorrow. */
static void pprof_keeps_everything(void **state)
{
	(void)state;
	for (size_t i = 0; i + 1 < ARRAY_SIZE(samples_of_all); i++) {
		_cleanup_(buf_done)
		struct buf pb = buf_of(1 << 20);
		struct profile p, q;
		assert_int_equal(decode(slice_str(samples_of_all[i]), &p, NULL), 0);
		assert_int_equal(pprof_encode(&p, &pb), 0);
		assert_int_equal(profile_init(&q, NULL), 0);
		assert_int_equal(pprof_decode(slice_of(pb.data, pb.n), &format_limits_default, &q, NULL), 0);
		testprofile_assert_same(&p, &q);
		profile_done(&p);
		profile_done(&q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_files_say_what_pprof_says),
		cmocka_unit_test(cpu_words_of_every_kind),
		cmocka_unit_test(the_signal_handler_goes),
		cmocka_unit_test(heap_values_are_scaled_back),
		cmocka_unit_test(delays_become_nanoseconds),
		cmocka_unit_test(goroutines_are_counted),
		cmocka_unit_test(threads_stand_where_they_stand),
		cmocka_unit_test(java_names_its_frames),
		cmocka_unit_test(maps_are_put_right),
		cmocka_unit_test(messages_name_the_place),
		cmocka_unit_test(half_files_keep_what_is_whole),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(budget_ends_in_an_error),
		cmocka_unit_test(cut_and_flipped_bytes_do_no_harm),
		cmocka_unit_test(pprof_keeps_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
