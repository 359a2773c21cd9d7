/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/callgrind.h"
#include "format/folded.h"
#include "format/pprof.h"
#include "format/testprofile.h"

#include <errno.h>

static int decode(struct slice text, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return callgrind_decode(text, &format_limits_default, NULL, p, err);
}

/* "file:name:line@address" from the root, then the values of all types. */
static void put_rows(const struct profile *p, struct buf *out)
{
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		struct node_id path[2], at = p->node.data[i];
		uint32_t n = 0;
		for (; at.v; at = p->dict.node_parent.data[at.v])
			path[n++] = at;
		while (n-- > 0) {
			const struct frame *f = &p->dict.frames.data[p->dict.node_frame.data[path[n].v].v];
			const struct function *fn = &p->dict.functions.data[f->function.v];
			const struct strtab *s = &p->dict.strings;
			buf_printf(out, "%s:%s:%u@%llx[%s]%s", strtab_cstr(s, fn->file), strtab_cstr(s, fn->name),
				   f->line, (unsigned long long)f->address,
				   strtab_cstr(s, p->dict.mappings.data[f->mapping.v].path), n ? ";" : "");
		}
		for (uint32_t t = 0; t < p->n_types; t++)
			buf_printf(out, " %lld", (long long)p->value[t].data[i]);
		buf_add_byte(out, '\n');
	}
}

static void assert_rows(const char *text, const char *types, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20), names = buf_of(1 << 12);
	struct error err = { "" };
	struct profile p;
	if (decode(slice_str(text), &p, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t t = 0; t < p.n_types; t++)
		buf_printf(&names, "%s%s", t ? " " : "", strtab_cstr(&p.dict.strings, p.types[t].type));
	buf_add_byte(&names, 0);
	put_rows(&p, &out);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)names.data, types);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static const char whole[] = "# callgrind format\nversion: 1\ncreator: by hand\npid: 7\ncmd:  ls /\npart: 1\n\n"
			    "positions: line\nevents: Ir Dr\nsummary: 130 13\n\n"
			    "ob=(1) /bin/x\nfl=(1) main.c\nfn=(1) main\n10 20 3\n+2 80\n"
			    "cob=(2) /lib/y.so\ncfi=(2) y.c\ncfn=(2) y\ncalls=5 40\n* 500 50\n"
			    "cfn=(1)\ncalls=1 10\n-1 7\n"
			    "fi=(3) inlined.h\n3 10 10\nfe=(1)\n20 15\n"
			    "\nob=(2)\nfl=(4) ???\nfn=(3) (below main)\n0 5\ntotals: 130 13\n";

static void costs_and_calls_become_rows(void **state)
{
	(void)state;
	assert_rows(whole, "Ir Dr calls inclusive_Ir inclusive_Dr",
		    "main.c:main:10@0[/bin/x] 20 3 0 0 0\n"
		    "main.c:main:12@0[/bin/x] 80 0 0 0 0\n"
		    "main.c:main:12@0[/bin/x];y.c:y:40@0[/lib/y.so] 0 0 5 500 50\n"
		    "main.c:main:11@0[/bin/x];main.c:main:10@0[/bin/x] 0 0 1 7 0\n"
		    "inlined.h:main:3@0[/bin/x] 10 10 0 0 0\n"
		    "main.c:main:20@0[/bin/x] 15 0 0 0 0\n"
		    ":(below main):0@0[/lib/y.so] 5 0 0 0 0\n");
}

static void addresses_jumps_and_plain_names(void **state)
{
	(void)state;
	assert_rows("positions: instr line\nevents: Ir\nfl=a.c\nfn=(x) f\n0x400 7 1\njcnd=1/2 +4 9\n* *\n+4 +1 2\n"
		    "jfi=(9) b.c\njfn=g\njump=3 0x410 12\n* *\nfi=(9)\n* * 3\n",
		    "Ir", "a.c:(x) f:7@400[] 1\na.c:(x) f:8@404[] 2\nb.c:(x) f:8@404[] 3\n");
	assert_rows("positions: instr\nevents: Ir\nfn=f\n0x400 1\n", "Ir", ":f:0@400[] 1\n");
}

/* Two threads dumped into one file. */
static void parts_have_totals_of_their_own(void **state)
{
	(void)state;
	assert_rows("events: Ir\npart: 1\nthread: 1\nfn=(1) f\n1 5\ntotals: 5\npart: 2\nthread: 2\nevents: "
		    "Ir\nfn=(1)\n1 6\n"
		    "totals: 6\n",
		    "Ir", ":f:1@0[] 5\n:f:1@0[] 6\n");
}

static void messages_name_the_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
		int code;
	} cases[] = {
		{ "version: 2\n", "line 1: version \"2\" is not 1", -EPROTONOSUPPORT },
		{ "version: 1\n", "no \"events:\" in 1 lines", -ENODATA },
		{ "fn=f\n1 2\nevents: Ir\n", "line 2: costs before \"events:\"", -EBADMSG },
		{ "events:\n", "line 1: no events", -EBADMSG },
		{ "positions: time\n", "line 1: positions are \"instr\", \"line\" or both: \"time\"", -EBADMSG },
		{ "events: Ir\nfn=(3)\n", "line 2: (3) has no name yet", -EBADMSG },
		{ "events: Ir\nfn=f\n1 2 3\n", "line 3: more costs than the 1 events", -EBADMSG },
		{ "events: Ir\nfn=f\n1 x\n", "line 3: not a cost: \"x\"", -EBADMSG },
		{ "events: Ir\nfn=f\n+x 1\n", "line 3: not a position: \"+x 1\"", -EBADMSG },
		{ "events: Ir\nfn=f\n1 9223372036854775808\n",
		  "line 3: a cost that does not fit into 63 bits: \"9223372036854775808\"", -EBADMSG },
		{ "events: Ir\nfn=f\n4294967296 1\n", "line 3: line 4294967296 does not fit into 32 bits", -EBADMSG },
		{ "events: Ir\nfn=f\ncalls=x 1\n", "line 3: not a number of calls", -EBADMSG },
		{ "events: Ir\nfn=f\ncfn=g\ncalls=1 1\nfn=h\n", "line 5: not the cost of the call before: \"fn=h\"",
		  -EBADMSG },
		{ "events: Ir\nfn=f\ncfn=g\ncalls=1 1\n", "line 4: the file ends before the cost of this call",
		  -ENODATA },
		{ "events: Ir\nwhat\n", "line 2: neither a cost nor a known field: \"what\"", -EBADMSG },
		{ "events: Ir\nfn=f\n1 2\ntotals: 3\n", "line 4: the total of Ir is 3, but its lines add up to 2",
		  -EBADMSG },
		{ "events: Ir\nsummary: 3\nfn=f\n1 2\n", "line 4: the part before ends early", -ENODATA },
		{ "events: Ir\nfn=f\n1 2", "line 3: the file ends within this line", -ENODATA },
		{ "events: Ir\nevents: Dr\n", "line 2: other events than in the part before", -EBADMSG },
		{ "pid: x\nevents: Ir\n", "line 1: not a number: \"x\"", -EBADMSG },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		struct profile p;
		assert_int_equal(decode(slice_str(cases[i].text), &p, &err), cases[i].code);
		assert_string_equal(err.text, cases[i].message);
		profile_done(&p);
	}
}

static int salvage_text(struct slice text, struct salvage *salvage, struct profile *p)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return callgrind_decode(text, &format_limits_default, salvage, p, NULL);
}

static int64_t sum_of_first(const struct profile *p)
{
	int64_t sum = 0;
	for (uint32_t i = 0; p->n_types && i < profile_n_samples(p); i++)
		sum += p->value[0].data[i];
	return sum;
}

/* Whole lines count; of a call only both of its lines. */
static void half_files_keep_their_whole_lines(void **state)
{
	(void)state;
	static const struct {
		const char *text, *end;
		int64_t sum;
		uint32_t n;
	} cases[] = {
		{ "events: Ir\nfn=f\n1 2\n2 3\ntotals: 5\n", "", 5, 2 },
		{ "events: Ir\nfn=f\n1 2\n2 3", "ends in the middle of line 4, at byte 23", 2, 1 },
		{ "events: Ir\nfn=f\n1 2\n2 3\ntotals: ", "ends in the middle of line 5, at byte 32", 5, 2 },
		{ "events: Ir\nfn=f\n1 2\ncfn=g\ncalls=1 1\n",
		  "ends in the middle of a call, behind line 5, at byte 36", 2, 1 },
		{ "events: Ir\nsummary: 9\nfn=f\n1 2\n", "ends in the middle of a part, behind line 4, at byte 31", 2,
		  1 },
		{ "events: Ir\nsummary: 9\nfn=f\n1 2\npart: 2\n1 3\ntotals: 3\n", "line 5: the part before ends early",
		  5, 2 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct salvage salvage = { 0 };
		struct profile p;
		assert_int_equal(salvage_text(slice_str(cases[i].text), &salvage, &p), 0);
		assert_string_equal(salvage.end.text, cases[i].end);
		assert_int_equal(sum_of_first(&p), cases[i].sum);
		assert_int_equal(profile_n_samples(&p), cases[i].n);
		profile_done(&p);
	}
	/* Each further byte leaves no less. */
	int64_t before = 0;
	for (size_t n = 0; n <= strlen(whole); n++) {
		struct salvage salvage = { 0 };
		struct profile p;
		int r = salvage_text(slice_of(whole, n), &salvage, &p);
		assert_true(r == 0 || (r == -ENODATA && before == 0));
		assert_true(sum_of_first(&p) >= before);
		before = sum_of_first(&p);
		profile_done(&p);
	}
	assert_true(before > 0);
}

static void limits_are_named(void **state)
{
	(void)state;
	static const struct {
		struct format_limits limits;
		const char *message;
	} cases[] = {
		{ { 10, 0, 0, 99, 99, 99, 99, 9, 9 }, "more than 10 bytes" },
		{ { 9999, 0, 0, 3, 99, 99, 99, 9, 9 }, "line 24: more than 3 samples" },
		{ { 9999, 0, 0, 99, 3, 99, 99, 9, 9 }, "line 21: more than 3 different places" },
		{ { 9999, 0, 0, 99, 99, 2, 99, 9, 9 }, "line 25: more than 2 names" },
		{ { 9999, 0, 0, 99, 99, 99, 1, 9, 9 }, "line 5: more than 1 comments" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		struct profile p;
		assert_int_equal(profile_init(&p, NULL), 0);
		assert_int_equal(callgrind_decode(slice_str(whole), &cases[i].limits, NULL, &p, &err), -E2BIG);
		assert_string_equal(err.text, cases[i].message);
		profile_done(&p);
	}
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
			r = callgrind_decode(slice_str(whole), &format_limits_default, NULL, &p, &err);
			assert_true(r == 0 || strstr(err.text, "does not fit"));
			profile_done(&p);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
		done = r == 0;
	}
	assert_true(done);
}

/* `summary:` says how much there is: a file cut at any byte before its last cost is told. */
static void cut_and_flipped_bytes_do_no_harm(void **state)
{
	(void)state;
	size_t size = sizeof(whole) - 1, end = (size_t)(strstr(whole, "0 5\n") - whole);
	_cleanup_(free_ptr)
	char *copy = malloc(size);
	for (size_t n = 0; n < end; n++) {
		struct error err = { "" };
		struct profile p;
		memcpy(copy, whole, n);
		int r = decode(slice_of(copy, n), &p, &err);
		assert_true(r == 0 || err.text[0]);
		assert_true(r < 0 || n <= (size_t)(strstr(whole, "summary") - whole));
		profile_done(&p);
	}
	memcpy(copy, whole, size);
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct error err = { "" };
		struct profile p;
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		int r = decode(slice_of(copy, size), &p, &err);
		assert_true(r == 0 || err.text[0]);
		profile_done(&p);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
	}
}

static void pprof_keeps_everything(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf pb = buf_of(1 << 20);
	struct profile p, q;
	assert_int_equal(decode(slice_str(whole), &p, NULL), 0);
	assert_int_equal(pprof_encode(&p, &pb), 0);
	assert_int_equal(profile_init(&q, NULL), 0);
	assert_int_equal(pprof_decode(slice_of(pb.data, pb.n), &format_limits_default, &q, NULL), 0);
	testprofile_assert_same(&p, &q);
	profile_done(&p);
	profile_done(&q);
}

/* --- out --- */

static const char *encode(const char *folded, const char *type, struct buf *out)
{
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(calltree_done)
	struct calltree t;
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(folded), &format_limits_default, &p, NULL), 0);
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p.dict), sizeof(*self));
	assert_true(b && self);
	profile_node_values(&p, 0, self);
	self[0] = 1; /* what has no stack */
	const struct calltree_view view = { .lines = true };
	assert_int_equal(calltree_add(b, &p.dict, self, slice_of("", 0), &view), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	assert_int_equal(callgrind_encode(&t, type, "count", out), 0);
	profile_done(&p);
	buf_add_byte(out, 0);
	return (const char *)out->data;
}

static void costs_and_calls_are_written(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const char *text = encode("main;f 5\nmain 2\n", "cpu time", &out);
	assert_string_equal(strstr(text, "positions"),
			    "positions: line\nevent: cpu_time : cpu time (count)\nevents: cpu_time\nsummary: 8\n"
			    "\nob=(0) ???\nfl=(0) ???\nfn=(0) [unknown]\n0 1\n"
			    "\nob=(1) ???\nfl=(1) ???\nfn=(3) main\n0 2\ncob=(1)\ncfi=(1)\ncfn=(4) f\ncalls=1 0\n0 5\n"
			    "\nob=(1)\nfl=(1)\nfn=(4)\n0 5\n\ntotals: 8\n");
}

/* What is written must be what a reader checks it against. */
static void our_own_files_are_read(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20), rows = buf_of(1 << 20);
	const char *text = encode("main;f;f;g 5\nmain;g;f 2\n(3) odd name;g 4\n", "x", &out);
	struct error err = { "" };
	struct profile p;
	if (decode(slice_str(text), &p, &err) < 0)
		fail_msg("%s", err.text);
	put_rows(&p, &rows);
	buf_add_byte(&rows, 0);
	assert_string_equal((const char *)rows.data, ":[unknown]:0@0[] 1 0 0\n"
						     ":main:0@0[];:f:0@0[] 0 1 5\n"
						     ":main:0@0[];:g:0@0[] 0 1 2\n"
						     ":f:0@0[] 2 0 0\n"
						     ":f:0@0[];:g:0@0[] 0 1 5\n"
						     ":g:0@0[] 9 0 0\n"
						     ":g:0@0[];:f:0@0[] 0 1 2\n"
						     ":(3) odd name:0@0[];:g:0@0[] 0 1 4\n");
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costs_and_calls_become_rows),
		cmocka_unit_test(addresses_jumps_and_plain_names),
		cmocka_unit_test(parts_have_totals_of_their_own),
		cmocka_unit_test(messages_name_the_line),
		cmocka_unit_test(half_files_keep_their_whole_lines),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(budget_ends_in_an_error),
		cmocka_unit_test(cut_and_flipped_bytes_do_no_harm),
		cmocka_unit_test(pprof_keeps_everything),
		cmocka_unit_test(costs_and_calls_are_written),
		cmocka_unit_test(our_own_files_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
