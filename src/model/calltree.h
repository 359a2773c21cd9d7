/* SPDX-License-Identifier: Apache-2.0 */
/* calltree.h: the merged call tree of one value type, function by function.
 *
 *            all                preorder:  i     0    1    2   3    4
 *        main    thread                    func  all  main a   b    thread
 *       a    b                             end   5    4    3   4    5
 *
 * Nodes stand in preorder, children by falling total (then by name), so a
 * node's subtree is [i, end[i]) and parent[i] < i. A tree owns its names: it
 * outlives the dicts it was built from and may cross threads once finished.
 *
 * Two frames are one function when name, file, module and kind are equal (by
 * lines: and the line); the address does not matter, nor how it was found: a
 * node has the ways of all its frames. */
#pragma once

#include "model/framelines.h"

#define TREE_FUNC_PRUNED UINT32_MAX

/* Of calltree.found: some frame of the node was found in way `f` (enum frame_found). */
#define CALLTREE_FOUND(f) ((uint8_t)(1U << (f)))
_Static_assert(N_FRAME_FOUNDS <= 8, "calltree.found has 8 bits");

struct tree_func {
	struct str_id name, file, module; /* in calltree.names; module = path of the binary */
	uint32_t kind;			  /* enum frame_kind */
	uint32_t named;			  /* 0: name was made up from module and address */
	uint32_t line;			  /* of the frame, by lines; else 0 */
};

struct calltree {
	uint32_t n; /* nodes; 0 = root, named "all" */
	uint32_t *parent;
	uint32_t *func;	 /* index into funcs, or TREE_FUNC_PRUNED */
	uint32_t *end;	 /* one past the subtree */
	uint32_t *depth; /* root = 0 */
	int64_t *self, *total;
	uint32_t *pruned; /* nodes folded into this TREE_FUNC_PRUNED node */
	uint8_t *found;	  /* how its frames were found: CALLTREE_FOUND()s; 0 = it is no frame; NULL in a loose tree */

	uint32_t n_funcs;
	struct tree_func *funcs; /* funcs[0] = "all" */
	struct strtab names;
	uint32_t n_pruned;
	struct membudget *budget;
	uint32_t cap, funcs_cap;
};

/* Collects stacks from any number of dicts. */
struct calltree_builder;

struct calltree_builder *calltree_builder_new(struct membudget *budget); /* NULL: no memory */
void calltree_builder_free(struct calltree_builder **b);		 /* for _cleanup_ */

enum calltree_node_flags {
	CALLTREE_HIDDEN = 1 << 0,  /* no frame of its own: its value and children go to its parent */
	CALLTREE_DROPPED = 1 << 1, /* its own value does not count */
};

/* How a dict's nodes become those of a tree. */
struct calltree_view {
	const uint8_t *node; /* enum calltree_node_flags of each node; NULL = none set */
	bool lines;	     /* a function's lines stand apart */
	bool loose;	     /* for sums per function: quicker, see calltree_add() */
	/* Frames with lines of their own become a node for each; NULL = none has. */
	const struct framelines *framelines;
	const uint64_t *hidden; /* of each node, bit i: its line i is CALLTREE_HIDDEN; NULL = none */
};

/* Adds self[node] for every node of `d`, below a frame named `group` (kind
 * FRAME_SYNTHETIC) when group.size > 0; `view` may be NULL: every node, by
 * functions. Negative values are allowed (diffs).
 *
 * All views of a tree are loose or none is. In a loose tree, equal stacks of
 * one or several adds need not be one node each, children stand in any order
 * and nothing says how frames were found; self and total per function
 * (toptable.h) are the same. */
int calltree_add(struct calltree_builder *b, const struct dict *d, const int64_t *self, struct slice group,
		 const struct calltree_view *view) must_check;

/* Adds the nodes of a finished, unpruned tree with the values `self`; NULL: all
 * with 0. Says where they went: ret_node[node of t], ret_func[function of t]
 * are numbers of the builder, which stay until it is finished. Without
 * ret_node, stacks of the value 0 are left out. */
int calltree_add_tree(struct calltree_builder *b, const struct calltree *t, const int64_t *self, uint32_t *ret_node,
		      uint32_t *ret_func) must_check;
void calltree_builder_count(const struct calltree_builder *b, uint32_t *ret_nodes, uint32_t *ret_funcs);

/* The functions so far, by number; their strings are in *ret_names. Both are
 * lent until something is added. */
const struct tree_func *calltree_builder_funcs(const struct calltree_builder *b, const struct strtab **ret_names);

/* The function of a node, and its parent, whose number is smaller. */
void calltree_builder_node(const struct calltree_builder *b, uint32_t node, uint32_t *ret_parent, uint32_t *ret_func);

/* Makes functions one: into[f] <= f is the number that function f gets, dense,
 * 0 for function 0 only. What is said of a function is what the last of those
 * that are one said. Nodes that are the same then become one, too:
 * ret_node[i] = number of what was node i. Only calltree_finish() may follow. */
int calltree_builder_join(struct calltree_builder *b, const uint32_t *into, uint32_t *ret_node) must_check;

/* Sorts and seals; the builder is empty afterwards. Stacks that only ever got
 * the value 0 are not in the tree. `ret` needs calltree_done(). */
int calltree_finish(struct calltree_builder *b, struct calltree *ret) must_check;
/* The same; *ret_node[number in the builder] = node, malloc()ed. Functions keep
 * their numbers. */
int calltree_finish_mapped(struct calltree_builder *b, struct calltree *ret, uint32_t **ret_node) must_check;
void calltree_done(struct calltree *t);
/* Columns of n nodes for an empty tree, charged to its budget; of `found` none
 * when `loose`. -ENOBUFS, -ENOMEM: calltree_done() frees what there is. */
int calltree_alloc(struct calltree *t, uint32_t n, bool loose) must_check;

/* True when of some frame it is known how it was found. */
bool calltree_has_found(const struct calltree *t);

static inline struct slice calltree_name(const struct calltree *t, uint32_t node)
{
	if (t->func[node] == TREE_FUNC_PRUNED)
		return slice_str("(pruned)");
	return strtab_get(&t->names, t->funcs[t->func[node]].name);
}
