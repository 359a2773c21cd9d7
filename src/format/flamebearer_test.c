/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/flamebearer.h"
#include "format/folded.h"

#include <errno.h>

#define GRAPH(names, levels)                                                                                           \
	"\"flamebearer\":{\"names\":[" names "],\"levels\":[" levels "],\"numTicks\":10,\"maxSelf\":4}"
#define META(units, rate)                                                                                              \
	"\"metadata\":{\"format\":\"single\",\"sampleRate\":" rate ",\"units\":\"" units "\",\"name\":\"n\"}"
#define NAMES "\"total\",\"f\",\"g\""
/* f [0, 6) with g [1, 5) on it, a gap, g [7, 10) */
#define LEVELS "[0,10,1,0],[0,6,2,1,1,3,3,2],[1,4,4,2]"

static int decode(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return flamebearer_decode(text, limits, p, err);
}

static void assert_becomes(const char *text, const char *type, const char *unit, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 16);
	struct error err = { "" };
	struct profile p;
	if (decode(slice_str(text), &format_limits_default, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.types[0].type), type);
	assert_string_equal(strtab_cstr(&p.dict.strings, p.types[0].unit), unit);
	assert_int_equal(folded_encode(&p, 0, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void boxes_become_stacks(void **state)
{
	(void)state;
	assert_becomes("{\"version\":1," GRAPH(NAMES, LEVELS) "," META("objects", "100") "}", "n", "count",
		       "[unknown] 1\nf 2\ng 3\nf;g 4\n");
	/* Levels before names, no metadata. */
	assert_becomes("{\"flamebearer\":{\"levels\":[[0,2,0,0],[0,2,2,1]],\"names\":[\"total\",\"x\"]}}", "samples",
		       "count", "x 2\n");
}

static void units_are_understood(void **state)
{
	(void)state;
	static const char *const folded = "[unknown] 1\nf 2\ng 3\nf;g 4\n";
	assert_becomes("{" GRAPH(NAMES, LEVELS) "," META("samples", "1000000000") "}", "n", "nanoseconds", folded);
	assert_becomes("{" GRAPH(NAMES, LEVELS) "," META("samples", "100") "}", "n", "nanoseconds",
		       "[unknown] 10000000\nf 20000000\ng 30000000\nf;g 40000000\n");
	assert_becomes("{" GRAPH(NAMES, LEVELS) "," META("bytes", "100") "}", "n", "bytes", folded);
	assert_becomes("{" GRAPH(NAMES, LEVELS) "," META("lock_nanoseconds", "100") "}", "n", "nanoseconds", folded);
	assert_becomes("{" GRAPH(NAMES, LEVELS) "," META("goroutines", "100") "}", "n", "count", folded);
}

static void assert_refused(const char *text, const char *message)
{
	struct error err = { "" };
	struct profile p;
	int r = decode(slice_str(text), &format_limits_default, &p, &err);
	assert_string_equal(err.text, message);
	assert_int_equal(r, -EBADMSG);
	profile_done(&p);
}

static void messages_name_the_byte(void **state)
{
	(void)state;
	assert_refused("{}", "at byte 0: no flamebearer.names");
	assert_refused("{\"flamebearer\":{\"names\":[]}}", "at byte 0: no flamebearer.levels");
	assert_refused("{\"metadata\":{\"format\":\"double\"}}",
		       "at byte 22: a comparison of two profiles, not a profile");
	assert_refused("{\"metadata\":{\"format\":\"x\"}}", "at byte 22: format \"x\" is not \"single\"");
	assert_refused("{" GRAPH("\"t\"", "[0,1,1,7]") "}", "at byte 47: name 7 does not exist");
	assert_refused("{" GRAPH("\"t\"", "[0,1,1]") "}",
		       "at byte 45: a level that is not made of four numbers per box");
	assert_refused("{" GRAPH("\"t\"", "[0,-1,1,0]") "}", "at byte 43: a negative value");
	assert_refused("{" GRAPH("\"t\"", "[0,1,0,0],[0,2,2,0]") "}",
		       "at byte 57: a box that none of the level above covers");
	assert_refused("{" GRAPH("\"t\"", "[0,1,0,0,0,1,1,0]") "}", "at byte 55: more than one box on the first level");
	assert_refused("{" GRAPH("\"t\"", "[9223372036854775807,1,0,0]") "}", "at byte 65: a level wider than 63 bits");
}

static void limits_are_named(void **state)
{
	(void)state;
	static const char text[] = "{" GRAPH(NAMES, LEVELS) "}";
	struct format_limits l = format_limits_default;
	struct error err = { "" };
	struct profile p;
	l.depth = 1;
	assert_int_equal(decode(slice_str(text), &l, &p, &err), -E2BIG);
	profile_done(&p);
	l.n_locations = 2;
	assert_int_equal(decode(slice_str(text), &l, &p, &err), -E2BIG);
	profile_done(&p);
	l = format_limits_default;
	l.n_strings = 1;
	assert_int_equal(decode(slice_str(text), &l, &p, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 1 strings"));
	profile_done(&p);
	struct membudget budget = membudget_of(SIZE_MAX);
	assert_int_equal(profile_init(&p, &budget), 0);
	budget.max = budget.used; /* from here on, nothing more */
	assert_int_equal(flamebearer_decode(slice_str(text), &format_limits_default, &p, &err), -ENOBUFS);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

static void write_folded(const char *folded, const char *type, const char *unit, int want, struct buf *out)
{
	struct profile p;
	struct calltree t;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(folded), &format_limits_default, &p, NULL), 0);
	if (want < 0)
		p.value[0].data[0] = -1;
	int64_t self[64] = { 0 };
	assert_true(dict_n_nodes(&p.dict) <= 64);
	profile_node_values(&p, 0, self);
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &p.dict, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	assert_int_equal(flamebearer_encode(&t, type, unit, out), want);
	calltree_done(&t);
	calltree_builder_free(&b);
	profile_done(&p);
}

static void a_tree_is_written_by_levels(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 16), bad = buf_of(1 << 16);
	write_folded("a;b 3\na;c 2\na 1\nd;b 4\n", "cpu", "nanoseconds", 0, &out);
	buf_add_byte(&out, 0);
	assert_string_equal(
		(const char *)out.data,
		"{\"version\":1,\"flamebearer\":{\"names\":[\"total\",\"a\",\"b\",\"c\",\"d\"],\"levels\":"
		"[[0,10,0,0],[0,6,1,1,0,4,0,4],[0,3,3,2,0,2,2,3,1,4,4,2]],\"numTicks\":10,\"maxSelf\":4},"
		"\"metadata\":{\"format\":\"single\",\"spyName\":\"wick\",\"sampleRate\":1000000000,"
		"\"units\":\"samples\",\"name\":\"cpu\"},\"timeline\":null,\"groups\":null,\"heatmap\":null}\n");
	assert_becomes((const char *)out.data, "cpu", "nanoseconds", "a 1\na;b 3\na;c 2\nd;b 4\n");
	write_folded("a 3\n", "cpu", "nanoseconds", -EDOM, &bad);
}

static void broken_files_end_well(void **state)
{
	(void)state;
	static const char whole[] = "{" GRAPH(NAMES, LEVELS) "," META("samples", "100") "}";
	size_t size = sizeof(whole) - 1;
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(size);
	assert_non_null(copy);
	for (size_t n = 0; n < size; n++) {
		struct error err = { "" };
		struct profile p;
		memcpy(copy + size - n, whole, n); /* ends where the memory does */
		assert_int_equal(decode(slice_of(copy + size - n, n), &format_limits_default, &p, &err), -ENODATA);
		profile_done(&p);
	}
	memcpy(copy, whole, size);
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct error err = { "" };
		struct profile p;
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		int r = decode(slice_of(copy, size), &format_limits_default, &p, &err);
		assert_true(r == 0 || err.text[0]);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		profile_done(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boxes_become_stacks),	       cmocka_unit_test(units_are_understood),
		cmocka_unit_test(messages_name_the_byte),      cmocka_unit_test(limits_are_named),
		cmocka_unit_test(a_tree_is_written_by_levels), cmocka_unit_test(broken_files_end_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
