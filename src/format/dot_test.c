/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/dot.h"
#include "format/folded.h"

#include <errno.h>

static void tree_of(const char *folded, struct calltree *ret)
{
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(folded), &format_limits_default, &p, NULL), 0);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p.dict), sizeof(*self));
	assert_true(b && self);
	profile_node_values(&p, 0, self);
	assert_int_equal(calltree_add(b, &p.dict, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
	profile_done(&p);
}

static const char *draw(const char *folded, const struct dot_options *options, struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t;
	tree_of(folded, &t);
	assert_int_equal(dot_encode(&t, options, out), 0);
	buf_add_byte(out, 0);
	return (const char *)out->data;
}

static int count(const char *text, const char *what)
{
	int n = 0;
	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

static void nodes_and_edges_carry_their_values(void **state)
{
	(void)state;
	const struct dot_options o = { .title = "server", .type = "cpu", .unit = "nanoseconds" };
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const char *dot =
		draw("main;parse;read 2500000000\nmain;parse;parse 500000000\nmain;write 7000000000\n", &o, &out);
	assert_int_equal(strncmp(dot, "digraph \"server\" {\n", 19), 0);
	assert_non_null(strstr(dot, "N1 [label=\"main\\n0 ns of 10.0 s (100.00%)\" self=0 total=10000000000 "));
	assert_non_null(strstr(dot, "N2 [label=\"write\\n7.00 s (70.00%)\" self=7000000000 total=7000000000 "));
	assert_non_null(strstr(dot, "N3 [label=\"parse\\n500 ms (5.00%)\\nof 3.00 s (30.00%)\" "));
	assert_non_null(strstr(dot, "N1 -> N2 [label=\" 7.00 s\" value=7000000000 "));
	assert_non_null(strstr(dot, "N1 -> N3 [label=\" 3.00 s\" value=3000000000 "));
	assert_non_null(strstr(dot, "N3 -> N4 [label=\" 2.50 s\" value=2500000000 "));
	assert_int_equal(count(dot, " -> N"), 3); /* what calls itself has no arrow */
	assert_non_null(
		strstr(dot, "label=\"server\\lType: cpu\\lTotal: 10.0 s\\lShown: 4 of 4 functions, 3 calls\\l\""));
}

/* A reader must know that the picture is not all there is. */
static void the_legend_says_what_is_left_out(void **state)
{
	(void)state;
	struct dot_options o = {
		.title = "t", .type = "samples", .unit = "count", .node_fraction = 0.05, .edge_fraction = 0.1
	};
	static const char folded[] = "main;a;thin;b 40\nmain;a;b 30\nmain;c;b 20\nmain;d 6\nmain;e 3\nmain;f 1\n";
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20), few = buf_of(1 << 20);
	const char *dot = draw(folded, &o, &out);
	assert_non_null(strstr(dot, "Shown: 6 of 8 functions, 6 calls\\l"
				    "Left out: 2 functions with less than 5 % of the total\\l"
				    "Left out: 1 calls with less than 10 % of the total\\l\""));
	o.max_nodes = 3;
	dot = draw(folded, &o, &few);
	assert_non_null(strstr(dot, "Left out: 3 functions beyond the first 3\\l"));
	/* main, b, a: what ran through others is drawn, dotted. */
	assert_non_null(strstr(dot, "N3 -> N2 [label=\" 70\" value=70 "));
	assert_non_null(strstr(dot, "N1 -> N2 [label=\" 20\" value=20 "));
	assert_int_equal(count(dot, " style=dotted]"), 2);
}

static void names_are_escaped(void **state)
{
	(void)state;
	const struct dot_options o = { .title = "a \"b\" \\", .type = "x", .unit = "count" };
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const char *dot = draw("f(\"x\\y\");\xff\x01z 1\n", &o, &out);
	assert_non_null(strstr(dot, "digraph \"a \\\"b\\\" \\\\\" {"));
	assert_non_null(strstr(dot, "label=\"f(\\\"x\\\\y\\\")\\n"));
	assert_non_null(strstr(dot, "label=\"\xef\xbf\xbd z\\n"));
	/* Long names are cut between characters, in the box only. */
	char folded[400] = "";
	for (int i = 0; i < 100; i++)
		strcat(folded, "\xc3\xa4");
	strcat(folded, " 1\n");
	out.n = 0;
	dot = draw(folded, &o, &out);
	assert_int_equal(count(dot, "\xef\xbf\xbd"), 0);
	assert_int_equal(count(dot, "..."), 1);
	assert_int_equal(count(dot, "\xc3\xa4"), 100 + 20 + 18);
}

static void an_empty_profile_is_a_graph(void **state)
{
	(void)state;
	const struct dot_options o = { .title = "t", .type = "x", .unit = "count" };
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20), little = buf_of(50);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_non_null(strstr(draw("a 0\n", &o, &out), "Shown: 0 of 0 functions, 0 calls\\l"));
	tree_of("a 1\n", &t);
	assert_int_equal(dot_encode(&t, &o, &little), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_and_edges_carry_their_values),
		cmocka_unit_test(the_legend_says_what_is_left_out),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(an_empty_profile_is_a_graph),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
