/* SPDX-License-Identifier: Apache-2.0 */
/* Names that come late show everywhere, and what was stored stays as it was. */
#include "base/buf.h"
#include "model/filter_profile.h"
#include "model/framelines_profile.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

/* main -> libx+0x10 (serve, which inlines parse, which inlines peek) -> libx+0x20 "named" -> libx+0x30 */
struct example {
	struct profile p;
	struct framelines l;
	struct frame_id serve, named, bare;
};

static struct frame_id add_frame(struct dict *d, const char *name, uint64_t address)
{
	struct mapping m = { .limit = 0x1000 };
	struct frame f = { .address = address, .kind = FRAME_USER, .found = FRAME_FOUND_TABLE };
	struct function fn = { 0 };
	struct frame_id ret;
	assert_int_equal(strtab_intern_str(&d->strings, "/lib/libx.so", &m.path), 0);
	assert_int_equal(dict_mapping(d, &m, &f.mapping), 0);
	assert_int_equal(strtab_intern_str(&d->strings, name, &fn.name), 0);
	if (*name)
		assert_int_equal(dict_function(d, &fn, &f.function), 0);
	assert_int_equal(dict_frame(d, &f, &ret), 0);
	return ret;
}

static struct source_line line_of(const char *name, const char *file, uint32_t line)
{
	return (struct source_line){ .name = slice_str(name), .file = slice_str(file), .line = line };
}

static void example_init(struct example *e)
{
	struct dict *d = &e->p.dict;
	struct node_id at = { 0 };
	assert_int_equal(profile_init(&e->p, NULL), 0);
	assert_int_equal(profile_add_type(&e->p, slice_str("cpu"), slice_str("ns")), 0);
	e->serve = add_frame(d, "", 0x10);
	e->named = add_frame(d, "named.cold", 0x20);
	e->bare = add_frame(d, "", 0x30);
	const struct frame_id stack[] = { add_frame(d, "main", 0x40), e->serve, e->named, e->bare };
	for (size_t i = 0; i < ARRAY_SIZE(stack); i++) {
		int64_t value = 1 << i;
		assert_int_equal(dict_node(d, at, stack[i], &at), 0);
		assert_int_equal(profile_add_sample(&e->p, at, (struct labels_id){ 0 }, &value), 0);
	}
	assert_int_equal(framelines_init(&e->l, NULL), 0);
	const struct source_line serve[] = { line_of("serve", "x.c", 80), line_of("parse", "x.h", 12),
					     line_of("peek", "x.h", 3) };
	const struct source_line named[] = { line_of("named", "y.c", 7) };
	assert_int_equal(framelines_put(&e->l, e->serve, serve, 3), 0);
	assert_int_equal(framelines_put(&e->l, e->named, named, 1), 0);
	assert_int_equal(framelines_put(&e->l, e->bare, NULL, 0), 0);
}

static void example_done(struct example *e)
{
	framelines_done(&e->l);
	profile_done(&e->p);
}

/* "depth name file line self" per node. */
static void print_tree(const struct profile *p, const struct calltree_view *view, struct buf *out)
{
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	profile_node_values(p, 0, self);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_add(b, &p->dict, self, slice_str(""), view), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	for (uint32_t i = 1; i < t.n; i++) {
		const struct tree_func *f = &t.funcs[t.func[i]];
		if (t.found)
			assert_int_equal(t.found[i], CALLTREE_FOUND(FRAME_FOUND_TABLE));
		buf_printf(out, "%u %.*s %s:%u %d%s\n", t.depth[i], SLICE_FMT(calltree_name(&t, i)),
			   strtab_cstr(&t.names, f->file), f->line, (int)t.self[i], f->named ? "" : " ?");
	}
	buf_add_byte(out, 0);
}

#define WHOLE                                                                                                          \
	"1 main :0 1\n"                                                                                                \
	"2 serve x.c:80 0\n"                                                                                           \
	"3 parse x.h:12 0\n"                                                                                           \
	"4 peek x.h:3 2\n"                                                                                             \
	"5 named.cold y.c:7 4\n"                                                                                       \
	"6 libx.so+0x30 :0 8 ?\n"

static void test_a_tree_shows_them(void **state)
{
	struct example e;
	example_init(&e);
	_cleanup_(buf_done)
	struct buf stored = buf_of(1 << 16), seen = buf_of(1 << 16);
	print_tree(&e.p, NULL, &stored);
	assert_string_equal(stored.data,
			    "1 main :0 1\n2 libx.so+0x10 :0 2 ?\n3 named.cold :0 4\n4 libx.so+0x30 :0 8 ?\n");
	struct calltree_view view = { .lines = true, .framelines = &e.l };
	print_tree(&e.p, &view, &seen);
	assert_string_equal(seen.data, WHOLE);
	example_done(&e);
}

/* Where a tree only serves for sums, whose nodes are not looked for one by one. */
static void test_a_loose_tree_has_room_for_them(void **state)
{
	struct example e;
	struct source_line lines[FRAMELINES_MAX];
	example_init(&e);
	_cleanup_(buf_done)
	struct buf sorted = buf_of(1 << 16), loose = buf_of(1 << 16);
	for (uint32_t i = 0; i < ARRAY_SIZE(lines); i++)
		lines[i] = line_of("f", "f.c", i + 1);
	assert_int_equal(framelines_put(&e.l, e.bare, lines, ARRAY_SIZE(lines)), 0);
	struct calltree_view view = { .lines = true, .framelines = &e.l };
	print_tree(&e.p, &view, &sorted);
	view.loose = true;
	print_tree(&e.p, &view, &loose);
	assert_string_equal(loose.data, sorted.data);
	assert_non_null(strstr((char *)loose.data, " f f.c:64 8\n"));
	example_done(&e);
}

static void test_a_profile_takes_them_in(void **state)
{
	struct example e;
	example_init(&e);
	_cleanup_(buf_done)
	struct buf seen = buf_of(1 << 16);
	assert_int_equal(framelines_apply(&e.l, &e.p), 0);
	struct calltree_view view = { .lines = true };
	print_tree(&e.p, &view, &seen);
	assert_string_equal(seen.data, WHOLE);
	const struct dict *d = &e.p.dict;
	uint32_t n_inlined = 0;
	for (uint32_t node = e.p.node.data[3].v; node; node = d->node_parent.data[node].v)
		n_inlined += d->frames.data[d->node_frame.data[node].v].flags & FRAME_INLINED ? 1 : 0;
	assert_int_equal(n_inlined, 2);
	uint32_t flags = d->mappings.data[1].flags;
	assert_true(flags & MAPPING_HAS_LINES && flags & MAPPING_HAS_INLINES && flags & MAPPING_HAS_FILENAMES);
	example_done(&e);
}

/* A filter sees late names as it sees those of a profile that has them. */
static void test_filters_see_them(void **state)
{
	static const struct {
		enum filter_kind kind;
		const char *pattern;
	} filters[] = {
		{ FILTER_FOCUS, "^parse$" },	  { FILTER_FOCUS, "x\\.h" },	   { FILTER_IGNORE, "peek" },
		{ FILTER_HIDE, "parse" },	  { FILTER_HIDE, "parse|peek" },   { FILTER_HIDE, "serve|parse|peek" },
		{ FILTER_SHOW, "parse|main" },	  { FILTER_SHOW_FROM, "^parse$" }, { FILTER_SHOW_FROM, "named" },
		{ FILTER_FOCUS, "named\\.cold" }, { FILTER_FOCUS, "^named$" },	   { FILTER_HIDE, "y\\.c" },
		{ FILTER_FOCUS, "libx" },	  { FILTER_SHOW, "0x30" },	   { FILTER_HIDE, "peek" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct example late, applied;
		struct filter_failure failure;
		struct error err;
		uint8_t node[16];
		uint64_t hidden[16];
		_cleanup_(filter_free)
		struct filter *f = filter_new();
		_cleanup_(buf_done)
		struct buf got = buf_of(1 << 16), want = buf_of(1 << 16);
		assert_int_equal(filter_add(f, filters[i].kind, slice_str(filters[i].pattern), &err), 0);
		example_init(&late);
		example_init(&applied);
		assert_int_equal(filter_nodes(f, &late.p.dict, &late.l, NULL, node, hidden, &failure), 0);
		struct calltree_view view = { .node = node, .lines = true, .framelines = &late.l, .hidden = hidden };
		print_tree(&late.p, &view, &got);
		assert_int_equal(framelines_apply(&applied.l, &applied.p), 0);
		assert_int_equal(filter_profile(f, &applied.p, &failure), 0);
		view = (struct calltree_view){ .lines = true };
		print_tree(&applied.p, &view, &want);
		if (strcmp((char *)got.data, (char *)want.data) != 0)
			fail_msg("%s %s:\n%swanted:\n%s", filter_kind_name(filters[i].kind), filters[i].pattern,
				 (char *)got.data, (char *)want.data);
		example_done(&late);
		example_done(&applied);
	}
}

static void test_equal_answers_are_kept_once(void **state)
{
	struct framelines l;
	struct source_line lines[] = { line_of("f", "a.c", 1), line_of("g", "a.h", 2) };
	uint32_t n;
	assert_int_equal(framelines_init(&l, NULL), 0);
	for (uint32_t frame = 1; frame < 1000; frame++)
		assert_int_equal(framelines_put(&l, (struct frame_id){ frame }, lines, 1 + frame % 2), 0);
	assert_int_equal(l.functions.n, 3);
	assert_int_equal(l.first.n, 5);
	assert_int_equal(l.lines.n, 3);
	assert_non_null(framelines_get(&l, 999, &n));
	assert_int_equal(n, 2);
	assert_null(framelines_get(&l, 1000, &n));
	framelines_forget(&l, (struct frame_id){ 999 });
	assert_null(framelines_get(&l, 999, &n));
	assert_int_equal(framelines_chain(&l, 999), FRAMELINES_UNKNOWN);
	framelines_done(&l);
}

static void test_memory_has_an_end(void **state)
{
	struct membudget budget = membudget_of(64 << 10);
	struct framelines l;
	char name[32];
	int r = 0;
	uint32_t frame = 0;
	assert_int_equal(framelines_init(&l, &budget), 0);
	while (r == 0) {
		(void)snprintf(name, sizeof(name), "function%u", ++frame);
		struct source_line line = line_of(name, "a.c", frame);
		r = framelines_put(&l, (struct frame_id){ frame }, &line, 1);
	}
	assert_int_equal(r, -ENOBUFS);
	uint32_t n;
	assert_null(framelines_get(&l, frame, &n));
	assert_non_null(framelines_get(&l, frame - 1, &n));
	framelines_done(&l);
	assert_int_equal(budget.used, 0);
}

static void test_too_deep_an_answer_is_cut(void **state)
{
	struct framelines l;
	struct source_line lines[FRAMELINES_MAX + 5];
	uint32_t n;
	for (uint32_t i = 0; i < ARRAY_SIZE(lines); i++)
		lines[i] = line_of("f", "a.c", i);
	assert_int_equal(framelines_init(&l, NULL), 0);
	assert_int_equal(framelines_put(&l, (struct frame_id){ 1 }, lines, ARRAY_SIZE(lines)), 0);
	assert_int_equal(framelines_get(&l, 1, &n)[0].line, 0);
	assert_int_equal(n, FRAMELINES_MAX);
	framelines_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_tree_shows_them),
		cmocka_unit_test(test_a_loose_tree_has_room_for_them),
		cmocka_unit_test(test_a_profile_takes_them_in),
		cmocka_unit_test(test_filters_see_them),
		cmocka_unit_test(test_equal_answers_are_kept_once),
		cmocka_unit_test(test_memory_has_an_end),
		cmocka_unit_test(test_too_deep_an_answer_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
