/* SPDX-License-Identifier: Apache-2.0 */
/* select.h: which part of the head a question is about.
 *
 *   selector  { service, type, labels, [from, to) }      as asked
 *   selection { series wanted, hosts, label sets wanted, nodes } as ids of one head
 *
 * Series labels and service choose series, all other labels choose label sets
 * of samples. A profile counts when its interval meets [from, to). Valid
 * while the head is read-locked. */
#pragma once

#include "model/filter.h"
#include "store/head.h"

#define SELECTOR_MAX_LABELS 16

struct selector {
	struct slice service; /* empty = all */
	struct slice type;    /* "cpu:nanoseconds", "cpu", empty = every type */
	struct {
		struct slice name, value;
	} label[SELECTOR_MAX_LABELS];
	uint32_t n_labels;
	int64_t from_ms, to_ms;
};

struct selection {
	const struct head *head;
	const struct selector *selector;
	struct slice type, unit; /* resolved; as asked when nothing matches */
	uint8_t *series;	 /* 1 = wanted */
	uint8_t *hosts;		 /* 1 = a wanted series of any type comes from it */
	uint8_t *sets;		 /* 1 = wanted; NULL = all */
	uint8_t *nodes;		 /* enum calltree_node_flags; NULL = no filter looks at frames */
	/* What came late of the head's frames; NULL = nothing. Set it before selection_filter(). */
	const struct framelines *framelines;
	uint64_t *hidden; /* calltree_view.hidden; NULL as `nodes` or `framelines` is */
	size_t charged;
	struct membudget *budget;
};

/* -EINVAL: the type is ambiguous. What does not exist selects nothing.
 * -ENOBUFS. `selector` outlives `ret`. */
int selection_init(struct selection *ret, const struct head *head, const struct selector *selector,
		   struct membudget *budget, struct error *err) must_check;
/* Narrows the selection (docs/query.md). -E2BIG: a pattern needs too much
 * work, see `failure`; -ENOBUFS, -ENOMEM. `f` NULL = no terms. */
int selection_filter(struct selection *s, const struct filter *f, struct filter_failure *failure) must_check;
void selection_done(struct selection *s);

/* The series label of this name, or -1: then it is a sample label. */
int series_label_find(struct slice name);

/* A label's value as text: its string or its number in `buf`. */
struct slice label_text(const struct head *h, const struct label *l, char buf[static 24]);

static inline bool selection_has_chunk(const struct selection *s, const struct chunk *c)
{
	const struct selector *q = s->selector;
	/* An instant counts as 1 ms. */
	return c->from_ms < q->to_ms && c->from_ms + (c->duration_ms ? c->duration_ms : 1) > q->from_ms;
}

/* Whether a row of a wanted series counts. */
static inline bool selection_has_row(const struct selection *s, const struct chunk_row *row)
{
	return (!s->sets || s->sets[row->labels]) && !(s->nodes && s->nodes[row->node] & CALLTREE_DROPPED);
}

/* The part of the chunk's total that counts. */
int64_t selection_chunk_total(const struct selection *s, const struct chunk *c);
