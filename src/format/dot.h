/* SPDX-License-Identifier: Apache-2.0 */
/* dot.h: the call graph in Graphviz' language.
 *
 *   N1 [label="main\n0 of 60 ms (100.00%)" self=0 total=60000000 ...]
 *   N1 -> N2 [label=" 40 ms" value=40000000 ...]      dotted: with functions
 *                                                     left out in between
 *
 * Nodes are functions by falling total, edges calls by falling weight
 * (model/callgraph.h). Left out are functions with less than node_fraction of
 * the total, functions beyond the first max_nodes, and calls with less than
 * edge_fraction; the legend says how many. A function's call of itself is not
 * drawn. `self`, `total` and `value` are the plain numbers for scripts;
 * Graphviz skips them. Names are escaped; what is not UTF-8 becomes U+FFFD.
 * Same tree, same bytes. */
#pragma once

#include "base/buf.h"
#include "model/calltree.h"

struct dot_options {
	const char *title; /* a name for the whole */
	const char *type, *unit;
	uint32_t max_nodes; /* 0 = no limit */
	double node_fraction, edge_fraction;
};

#define DOT_MAX_NODES	  80
#define DOT_NODE_FRACTION 0.005
#define DOT_EDGE_FRACTION 0.001

/* -E2BIG past out->max, -ENOBUFS, -ENOMEM. */
int dot_encode(const struct calltree *t, const struct dot_options *options, struct buf *out) must_check;
