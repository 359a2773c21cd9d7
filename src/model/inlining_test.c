/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/inlining.h"

static const char *const names[] = { "main", "always", "partly", "never", "first" };

static struct node_id call(struct profile *p, struct node_id parent, const char *name, bool inlined)
{
	struct function fn = { 0 };
	struct frame frame = { .flags = inlined ? FRAME_INLINED : 0 };
	struct frame_id id;
	struct node_id node;
	assert_int_equal(strtab_intern_str(&p->dict.strings, name, &fn.name), 0);
	assert_int_equal(dict_function(&p->dict, &fn, &frame.function), 0);
	assert_int_equal(dict_frame(&p->dict, &frame, &id), 0);
	assert_int_equal(dict_node(&p->dict, parent, id, &node), 0);
	return node;
}

static void sample(struct profile *p, struct node_id node, int64_t value)
{
	assert_int_equal(profile_add_sample(p, node, (struct labels_id){ 0 }, &value), 0);
}

static void make_profile(struct profile *p)
{
	struct node_id root = { 0 };
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
	struct node_id top = call(p, root, "main", false);
	struct node_id always = call(p, top, "always", true);
	sample(p, call(p, always, "partly", true), 1);
	sample(p, call(p, top, "partly", false), 1);
	struct node_id never = call(p, top, "never", false);
	sample(p, never, 1);
	/* Stacks without a value are not in the tree and say nothing. */
	sample(p, call(p, never, "always", false), 0);
	/* A stack that begins within: no caller is known. */
	sample(p, call(p, call(p, root, "first", false), "first", true), 1);
}

static void make_tree(const struct profile *p, struct calltree *ret)
{
	int64_t self[16] = { 0 };
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	profile_node_values(p, 0, self);
	assert_int_equal(calltree_add(b, &p->dict, self, slice_str(""), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
}

/* Else time of a function is looked for where no call of it is. */
static void inlined_functions_are_told(void **state)
{
	(void)state;
	static const uint8_t expected[] = { INLINED_NEVER, INLINED_ALWAYS, INLINED_PARTLY, INLINED_NEVER,
					    INLINED_ALWAYS };
	struct profile p;
	make_profile(&p);
	_cleanup_(calltree_done)
	struct calltree t;
	make_tree(&p, &t);
	_cleanup_(free_ptr)
	uint8_t *found = NULL;
	assert_int_equal(inlining_find(&p, 0, &t, false, &found), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (uint32_t f = 1; f < t.n_funcs; f++)
			if (slice_eq(strtab_get(&t.names, t.funcs[f].name), slice_str(names[i])))
				assert_int_equal(found[f], expected[i]);
	assert_int_equal(t.n_funcs, 1 + ARRAY_SIZE(names));
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(inlined_functions_are_told) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
