/* SPDX-License-Identifier: Apache-2.0 */
/* testtree.h: call trees for tests, from lines like "main;f;g 3". */
#pragma once

#include "unit.h"

#include "model/calltree.h"

/* Adds "a;b;c" (root first) with a value to self[]. */
static inline void testtree_stack(struct dict *d, int64_t *self, const char *folded, int64_t value)
{
	struct node_id node = { 0 };
	for (const char *s = folded; *s;) {
		size_t n = strcspn(s, ";");
		struct frame_id frame;
		assert_int_equal(dict_named_frame(d, slice_of(s, n), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(d, node, frame, &node), 0);
		s += n + (s[n] == ';');
	}
	self[node.v] += value;
}

struct teststack {
	const char *folded;
	int64_t value;
};

/* `ret` needs calltree_done(). At most 1023 different nodes. */
static inline void testtree_make(const struct teststack *stacks, uint32_t n, struct calltree *ret)
{
	struct dict d;
	int64_t self[1024] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	for (uint32_t i = 0; i < n; i++)
		testtree_stack(&d, self, stacks[i].folded, stacks[i].value);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
	dict_done(&d);
}

/* The first node of that name. */
static inline uint32_t testtree_node(const struct calltree *t, const char *name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (slice_eq(calltree_name(t, i), slice_str(name)))
			return i;
	fail_msg("no node %s", name);
	return 0;
}
