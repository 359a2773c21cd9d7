/* SPDX-License-Identifier: Apache-2.0 */
/* Two rows of one name say nothing of which is which. */
#include "unit.h"

#include "model/namesake.h"

struct described {
	const char *name, *file, *module;
	uint32_t line;
};

static void assert_apart(const struct described *rows, const char *const *want, uint32_t n, bool lines)
{
	struct dict d;
	assert_int_equal(dict_init(&d, NULL), 0);
	int64_t self[32] = { 0 };
	for (uint32_t i = 0; i < n; i++) {
		struct function function = { 0 };
		struct mapping mapping = { 0 };
		struct frame frame = { .line = rows[i].line, .kind = FRAME_USER };
		struct frame_id id;
		struct node_id node;
		assert_int_equal(strtab_intern_str(&d.strings, rows[i].name, &function.name), 0);
		assert_int_equal(strtab_intern_str(&d.strings, rows[i].file, &function.file), 0);
		assert_int_equal(strtab_intern_str(&d.strings, rows[i].module, &mapping.path), 0);
		assert_int_equal(dict_function(&d, &function, &frame.function), 0);
		if (mapping.path.v)
			assert_int_equal(dict_mapping(&d, &mapping, &frame.mapping), 0);
		assert_int_equal(dict_frame(&d, &frame, &id), 0);
		assert_int_equal(dict_node(&d, (struct node_id){ 0 }, id, &node), 0);
		self[node.v] = 100 - i;
	}
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	struct calltree_view view = { .lines = lines };
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), &view), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	dict_done(&d);
	_cleanup_(free_ptr)
	uint8_t *found = NULL;
	assert_int_equal(namesakes_find(&t, &found), 0);
	/* Nodes stand by falling value: in the order of the rows. */
	assert_int_equal(t.n, n + 1);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t f = t.func[i + 1];
		struct slice text = namesake_text(&t, f, found ? found[f] : NAMESAKE_NONE);
		if (!slice_eq(text, slice_str(want[i])))
			fail_msg("row %u: \"%.*s\", not \"%s\"", i, SLICE_FMT(text), want[i]);
	}
}

static void the_binary_tells_else_the_file(void **state)
{
	(void)state;
	static const struct described rows[] = {
		{ "init", "a.c", "/bin/x", 0 }, { "init", "b.c", "/bin/x", 0 }, { "init", "a.c", "/lib/y.so", 0 },
		{ "main", "m.c", "/bin/x", 0 }, { "bare", "", "", 0 },		{ "bare", "", "/lib/y.so", 0 },
	};
	static const char *const want[] = { "a.c", "b.c", "y.so", "", "", "y.so" };
	assert_apart(rows, want, ARRAY_SIZE(rows), false);
	static const struct described single[] = { { "a", "a.c", "/x", 0 }, { "b", "a.c", "/x", 0 } };
	static const char *const nothing[] = { "", "" };
	assert_apart(single, nothing, ARRAY_SIZE(single), false);
}

/* Rows by lines name file and line anyway. */
static void other_lines_are_no_namesakes(void **state)
{
	(void)state;
	static const struct described rows[] = { { "f", "a.c", "/bin/x", 1 },
						 { "f", "a.c", "/bin/x", 2 },
						 { "f", "a.c", "/bin/y", 2 },
						 { "f", "b.c", "/bin/x", 2 } };
	static const char *const want[] = { "", "x", "y", "" };
	assert_apart(rows, want, ARRAY_SIZE(rows), true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_binary_tells_else_the_file),
		cmocka_unit_test(other_lines_are_no_namesakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
