/* SPDX-License-Identifier: Apache-2.0 */
/* callgraph.h: who calls whom, function by function, over a call tree.
 *
 *   tree    main -> a -> b        edges   main -> a   7    out of main
 *           main -> b                     main -> b   2
 *                                         a    -> b   5    out of a
 *
 *   out:  edge[first_out[f] .. first_out[f + 1])      f is the caller
 *   in:   edge[in[first_in[f] .. first_in[f + 1])]    f is the callee
 *
 * both by falling weight, then by the other function's name. An edge weighs
 * what all stacks that hold it sum up to; a stack in which it stands several
 * times counts once, as does a function in `total`. A function that calls
 * itself directly has an edge to itself.
 *
 * Where functions are left out, their callees hang on the nearest caller that
 * is kept; such an edge is `residual`. Self and total do not change.
 *
 * One walk over the nodes in preorder: while node < open_until[edge], an
 * ancestor is an end of the same edge. */
#pragma once

#include "model/calltree.h"

struct call_edge {
	uint32_t caller, callee; /* index into tree->funcs */
	int64_t weight;
	bool residual; /* at least one stack has a function between the two */
};

struct callgraph {
	uint32_t n_funcs; /* as in the tree */
	int64_t *self, *total;
	bool *present; /* there is a node of this function, and it is kept */

	uint32_t n_edges;
	struct call_edge *edge;
	uint32_t *first_out, *first_in; /* n_funcs + 1 each */
	uint32_t *in;			/* n_edges */
};

/* `keep` has tree->n_funcs entries; NULL keeps all. Root and pruned nodes are
 * no functions. 0, -ENOBUFS (the tree's budget) or -ENOMEM. */
int callgraph_compute(const struct calltree *t, const bool *keep, struct callgraph *ret) must_check;
void callgraph_done(struct callgraph *g);
