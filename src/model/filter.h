/* SPDX-License-Identifier: Apache-2.0 */
/* filter.h: which samples count and which frames show, with the meanings of
 * google/pprof's options (profile/filter.go there); docs/query.md is the
 * grammar.
 *
 *   focus RE      the stack has a frame that matches           several: each matches some frame
 *   ignore RE     the stack has none                           several: any drops it
 *   hide RE       matching frames vanish from stacks           several: any hides
 *   show RE       frames that do not match vanish              several: any shows
 *   show_from RE  frames above the first match, seen from the  several: the first of any
 *                 root, vanish; stacks without one are dropped
 *   tag EXPR      the sample's labels match (filter_tag.h)     several: all
 *   tag_ignore    they do not                                  several: any drops it
 *
 * A frame matches by its function's name, its file or the path of its
 * mapping. focus and ignore see whole stacks, show_from what hide and show
 * left. When any term looks at frames, samples whose stack has no frame left
 * are dropped.
 *
 *   strings -> verdict per term -> functions, mappings -> terms matched, one bit each
 *   nodes, parents first: state of the stack so far -> CALLTREE_HIDDEN, CALLTREE_DROPPED
 *
 * Each distinct string is matched once, each node looked at once. A filter is
 * read-only once its terms are added: threads may share it. */
#pragma once

#include "model/calltree.h"
#include "model/profile.h"

#define FILTER_MAX_TERMS 16

enum filter_kind {
#define FILTER(id, name, option, value, meaning) FILTER_##id,
#include "model/filter.def"
#undef FILTER
	N_FILTER_KINDS
};

const char *filter_kind_name(enum filter_kind kind);   /* "show_from" */
const char *filter_kind_option(enum filter_kind kind); /* "show-from" */

struct filter;

struct filter *filter_new(void); /* NULL: out of memory */
void filter_free(struct filter **f);

/* -EINVAL: what is wrong with the text, where; -E2BIG: too long, or more than
 * FILTER_MAX_TERMS; -ENOMEM. The error does not name the kind. */
int filter_add(struct filter *f, enum filter_kind kind, struct slice text, struct error *err) must_check;

/* Whether any term looks at frames, at labels. NULL has no terms. */
bool filter_has_frame_terms(const struct filter *f);
bool filter_has_label_terms(const struct filter *f);

/* A pattern that needs too much work: which term's, on what. */
struct filter_failure {
	enum filter_kind kind;
	struct error why;
};

/* node[i] = enum calltree_node_flags of each of dict_n_nodes(). With `lines`
 * (else NULL), a frame that has lines is matched line by line, and hidden[i] =
 * calltree_view.hidden; its node's CALLTREE_HIDDEN is then not set. -E2BIG: see
 * `failure`; -ENOBUFS, -ENOMEM. */
int filter_nodes(const struct filter *f, const struct dict *d, const struct framelines *lines, struct membudget *budget,
		 uint8_t *node, uint64_t *hidden, struct filter_failure *failure) must_check;

/* keep[i] = 0 for label sets whose samples are dropped; others stay as they
 * are. Errors as above. */
int filter_label_sets(const struct filter *f, const struct profile *p, struct membudget *budget, uint8_t *keep,
		      struct filter_failure *failure) must_check;
