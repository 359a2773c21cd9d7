/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/locations.h"

static struct node_id call(struct dict *d, struct node_id parent, const char *name, uint64_t address, uint8_t flags)
{
	struct function fn = { 0 };
	struct frame frame = { .address = address, .flags = flags };
	struct frame_id id;
	struct node_id node;
	assert_int_equal(strtab_intern_str(&d->strings, name, &fn.name), 0);
	assert_int_equal(dict_function(d, &fn, &frame.function), 0);
	assert_int_equal(dict_frame(d, &frame, &id), 0);
	assert_int_equal(dict_node(d, parent, id, &node), 0);
	return node;
}

/* Else one call shows up as several, or several as one. */
static void inlined_frames_are_one_location(void **state)
{
	(void)state;
	struct dict d;
	struct node_id root = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	struct node_id main_node = call(&d, root, "main", 1, 0);
	struct node_id outer = call(&d, main_node, "outer", 2, 0);
	struct node_id inner = call(&d, outer, "inner", 2, FRAME_INLINED);
	/* The same two frames elsewhere, and one at another address. */
	struct node_id outer2 = call(&d, call(&d, root, "thread", 9, 0), "outer", 2, 0);
	struct node_id inner2 = call(&d, outer2, "inner", 2, FRAME_INLINED);
	struct node_id lone = call(&d, outer, "inner", 3, FRAME_INLINED);
	struct locations l;
	assert_int_equal(locations_init(&l, &d), 0);
	assert_int_equal(l.chain_of[inner.v], l.chain_of[inner2.v]);
	assert_int_not_equal(l.chain_of[inner.v], l.chain_of[lone.v]);
	assert_int_equal(l.chains.data[l.chain_of[inner.v]].into, l.chain_of[outer.v]);
	assert_int_equal(l.chains.data[l.chain_of[lone.v]].into, 0);
	assert_int_equal(locations_caller(&l, inner).v, main_node.v);
	assert_int_equal(locations_caller(&l, lone).v, outer.v);
	assert_int_equal(locations_caller(&l, outer).v, main_node.v);
	assert_int_equal(locations_caller(&l, main_node).v, 0);
	locations_done(&l);
	dict_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(inlined_frames_are_one_location) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
