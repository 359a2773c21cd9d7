/* SPDX-License-Identifier: Apache-2.0 */
/* The pictures: SVG and the HTML shell. */
#include "unit.h"

#include "format/folded.h"
#include "format/html.h"
#include "format/svg.h"

#include <errno.h>
#include <sys/wait.h>

static void tree_of(const char *folded, struct calltree *ret)
{
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(folded), &format_limits_default, &p, NULL), 0);
	struct calltree_builder *b = calltree_builder_new(NULL);
	int64_t *self = calloc(dict_n_nodes(&p.dict), sizeof(*self));
	assert_non_null(b);
	assert_non_null(self);
	profile_node_values(&p, 0, self);
	assert_int_equal(calltree_add(b, &p.dict, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
	free(self);
	calltree_builder_free(&b);
	profile_done(&p);
}

static const char *render(const char *folded, const struct svg_options *options, struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t;
	tree_of(folded, &t);
	assert_int_equal(svg_render(&t, options, out), 0);
	buf_add_byte(out, 0);
	assert_false(out->failed);
	return (const char *)out->data;
}

static int count(const char *text, const char *what)
{
	int n = 0;
	for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

static void boxes_say_name_value_and_share(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const struct svg_options o = { .title = "server & <friends>", .unit = "nanoseconds" };
	const char *svg = render("main;parse;read_[k] 2500000000\nmain;write 7500000000\n", &o, &out);
	assert_non_null(strstr(svg, "server &amp; &lt;friends&gt;</text>"));
	assert_non_null(strstr(svg, ">10.0 s</text>"));
	assert_non_null(strstr(svg, "<title>parse (2.50 s, 25.00 %)</title>"));
	assert_non_null(strstr(svg, "<title>write (7.50 s, 75.00 %)</title>"));
	assert_int_equal(count(svg, "<g>"), 5);
	assert_int_equal(count(svg, "<g>"), count(svg, "</g>"));
	assert_int_equal(count(svg, "<script"), 0);
	assert_int_equal(count(svg, "http"), 1); /* the name space: nothing is fetched */
}

/* A picture must open whatever a symbol is called. */
static void any_name_is_valid_xml(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20), folded = buf_of(1 << 20);
	const struct svg_options o = { .title = "\x01]]>\xff", .unit = "count" };
	for (int c = 1; c < 256; c++)
		if (c != '\n' && c != ';')
			buf_printf(&folded, "f%cg<&>\"'\xef\xbf\xbe%c 1\n", c, c);
	buf_add_byte(&folded, 0);
	const char *svg = render((const char *)folded.data, &o, &out);
	for (const char *at = svg; *at; at++)
		assert_true((uint8_t)*at >= 0x20 || *at == '\n');
	assert_null(strstr(svg, "\xef\xbf\xbe"));
	assert_int_equal(count(svg, "<") - count(svg, "</") - count(svg, "/>") - count(svg, "<?"), count(svg, "</"));
	/* An independent parser. */
	FILE *expat = popen(
		"python3 -c 'import sys, xml.parsers.expat as e; e.ParserCreate().ParseFile(sys.stdin.buffer)'", "w");
	assert_non_null(expat);
	assert_int_equal(fwrite(svg, 1, out.n - 1, expat), out.n - 1);
	int status = pclose(expat);
	if (WEXITSTATUS(status) == 127)
		skip_because("no python3");
	assert_int_equal(status, 0);
}

static void names_fit_their_boxes(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const struct svg_options o = { .title = "t", .unit = "count", .width = 300 };
	const char *svg = render("a_function_with_a_rather_long_name_that_goes_on;b 50\nc 50\n", &o, &out);
	assert_non_null(strstr(svg, ">a_function_with_a\xe2\x80\xa6</text>"));
	assert_non_null(strstr(svg, "<title>a_function_with_a_rather_long_name_that_goes_on ("));
	out.n = 0;
	svg = render("example.org/net/server.(*Conn).Read(a/b) 50\nc 50\n", &o, &out);
	assert_non_null(strstr(svg, ">server.(*Conn).Re\xe2\x80\xa6</text>"));
}

static void what_is_too_small_is_counted(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const struct svg_options narrow = { .title = "t", .unit = "count", .width = 200, .min_width = 5 };
	const char *svg = render("big 1000\nsmall;x 1\nsmall;y 1\n", &narrow, &out);
	assert_non_null(strstr(svg, "3 frames too small or too deep to show"));
	assert_null(strstr(svg, "frames not shown")); /* a third of a pixel */
	out.n = 0;
	svg = render("big 100\ns1;x 4\ns2;y 2\n", &narrow, &out);
	assert_non_null(strstr(svg, "<title>2 frames not shown (2, 1.89 %)</title>"));
	out.n = 0;
	const struct svg_options flat = { .title = "t", .unit = "count", .max_rows = 2 };
	svg = render("a;b;c;d 10\n", &flat, &out);
	assert_non_null(strstr(svg, "3 frames too small or too deep to show"));
	assert_int_equal(count(svg, "<g>"), 3);
	assert_non_null(strstr(svg, "<title>3 frames not shown (10, 100.00 %)</title>"));
}

static void kinds_have_their_hues(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	const struct svg_options o = { .title = "t", .unit = "count" };
	const char *svg = render("same 1\nsame_[k] 1\nsame_[j] 1\n", &o, &out);
	char colour[4][8];
	const char *at = svg;
	for (int i = 0; i < 4; i++) {
		at = strstr(at, "height=\"16\" fill=\"");
		assert_non_null(at);
		(void)snprintf(colour[i], sizeof(colour[i]), "%.7s", at + strlen("height=\"16\" fill=\""));
		at++;
		for (int k = 0; k < i; k++)
			assert_string_not_equal(colour[i], colour[k]);
	}
}

static void add_side(struct diff *d, enum diff_side side, const char *folded)
{
	_cleanup_(calltree_done)
	struct calltree t;
	tree_of(folded, &t);
	const struct diff_window w = { t.total[0], (double)t.total[0], 1 };
	assert_int_equal(diff_add(d, side, &t, &w), 0);
}

/* What changed, by how much, and what is no longer there. */
static void comparisons_show_what_is_gone(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	_cleanup_(diff_done)
	struct diff d;
	assert_int_equal(diff_init(&d, NULL), 0);
	add_side(&d, DIFF_A, "main;more 100\nmain;less 400\nmain;same 400\nmain;old;older 100\n");
	add_side(&d, DIFF_B, "main;more 300\nmain;less 200\nmain;same 405\nmain;fresh 95\n");
	assert_int_equal(diff_finish(&d), 0);
	const struct svg_options o = { .title = "t", .unit = "count", .diff = &d };
	assert_int_equal(svg_render(&d.tree, &o, &out), 0);
	buf_add_byte(&out, 0);
	const char *svg = (const char *)out.data;
	assert_non_null(strstr(svg, "<title>more (A 10.00 %, B 30.00 %, +20.00 points, 95 % +16.58 to +23.38, "
				    "significant)</title>"));
	assert_non_null(strstr(svg, "points, 95 % -3.79 to +4.79, not significant)</title><rect"));
	assert_non_null(strstr(svg, "<title>fresh (A 0.00 %, B 9.50 %, +9.50 points, "));
	assert_non_null(strstr(svg, "significant, new)</title>"));
	assert_non_null(strstr(svg, ">1,000</text>")); /* gone frames are not called too small */
	const char *gone = strstr(svg, ">Gone: only in A, 10.00 % of it");
	assert_non_null(gone);
	assert_non_null(strstr(gone, "<title>older (A 10.00 %, B 0.00 %, -10.00 points, "));
	assert_int_equal(count(gone, "url(#gone)"), 2);
	/* A tenth of A is as wide as a tenth of B. */
	assert_int_equal(count(gone, "width=\"117.50\""), 4);
	assert_int_equal(count(svg, "<g>"), 6 + 4);
	assert_int_equal(count(svg, "<g>"), count(svg, "</g>"));
}

static void html_takes_title_and_slab(void **state)
{
	(void)state;
	static const struct {
		const char *slab, *base64;
	} cases[] = { { "", "" },	 { "f", "Zg==" },	   { "fo", "Zm8=" },
		      { "foo", "Zm9v" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" } };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_done)
		struct buf out = buf_of(1 << 10), want = buf_of(1 << 10);
		buf_printf(&want, "<title>a &lt;b&gt;</title>@@WICK_X@@<i>%s</i>", cases[i].base64);
		assert_int_equal(html_render(slice_str("<title>@@WICK_TITLE@@</title>@@WICK_X@@<i>@@WICK_SLAB@@</i>"),
					     "a <b>", slice_str(cases[i].slab), &out),
				 0);
		assert_true(slice_eq(slice_of(out.data, out.n), slice_of(want.data, want.n)));
	}
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 10);
	assert_int_equal(html_render(slice_str("<html>"), "t", slice_str("x"), &out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boxes_say_name_value_and_share), cmocka_unit_test(any_name_is_valid_xml),
		cmocka_unit_test(names_fit_their_boxes),	  cmocka_unit_test(what_is_too_small_is_counted),
		cmocka_unit_test(comparisons_show_what_is_gone),  cmocka_unit_test(kinds_have_their_hues),
		cmocka_unit_test(html_takes_title_and_slab),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
