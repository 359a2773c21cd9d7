/* SPDX-License-Identifier: Apache-2.0 */
/* select.h: which part of what is stored a question is about.
 *
 *   selector  { service, type, labels, [from, to) }      as asked
 *   selection { series wanted, hosts, label sets wanted, nodes } as ids of one part
 *
 * A question goes over the store part by part, and what each part has is added
 * to the answer (merge.h, timeline.h, listing.h, quality.h). Series labels and
 * service choose series, all other labels choose label sets of samples. A
 * profile counts when its interval meets [from, to). Valid while the part does
 * not change. */
#pragma once

#include "model/filter.h"
#include "query/matcher.h"
#include "store/scan.h"

#define SELECTOR_MAX_LABELS 16

/* The one type that is meant by "cpu" or "cpu:nanoseconds". */
struct type_match {
	struct slice asked;
	bool is_whole;			/* `full` is what was asked for, word for word */
	char full[INTAKE_TYPE_MAX + 1]; /* empty: none yet */
};

/* Looks at a type that is stored. -EINVAL: `asked` means this one as well as another. */
int type_match_add(struct type_match *m, struct slice full, struct error *err) must_check;
/* The type found, else what was asked for. */
struct slice type_match_get(const struct type_match *m);
/* "nanoseconds" of "cpu:nanoseconds", or "". */
struct slice type_unit(struct slice full);

struct selector {
	struct slice service; /* empty = all */
	struct slice type;    /* whole, "cpu:nanoseconds"; empty = every type */
	struct {
		struct slice name, value;
	} label[SELECTOR_MAX_LABELS];
	uint32_t n_labels;
	struct matchers *matchers; /* hold, too; owned; NULL = none */
	int64_t from_ms, to_ms;
};

void selector_done(struct selector *s);

struct selection {
	const struct part *part;
	const struct selector *selector;
	uint8_t *series; /* 1 = wanted */
	uint8_t *hosts;	 /* 1 = a wanted series of any type comes from it */
	uint8_t *sets;	 /* 1 = wanted; NULL = all */
	uint8_t *nodes;	 /* enum calltree_node_flags; NULL = no filter looks at frames */
	bool any_series;
	bool is_raw; /* single profiles are looked at, though sums would do */
	/* What came late of the part's frames; NULL = nothing. Set it before selection_filter(). */
	const struct framelines *framelines;
	uint64_t *hidden; /* calltree_view.hidden; NULL as `nodes` or `framelines` is */
	size_t charged;
	struct membudget *budget;
	struct scan_stats *stats; /* of all scans; NULL = not wanted */
	struct cancel *cancel;	  /* ends scans with -ECANCELED; NULL = nothing does */
};

/* What does not exist selects nothing. -E2BIG: a pattern needs too much work, `err`
 * says which text; -ENOBUFS, -ENOMEM. `selector` outlives `ret`. */
int selection_init(struct selection *ret, const struct part *part, const struct selector *selector,
		   struct membudget *budget, struct error *err) must_check;
/* Narrows the selection (docs/query.md). -E2BIG: a pattern needs too much
 * work, see `failure`; -ENOBUFS, -ENOMEM. `f` NULL = no terms. */
int selection_filter(struct selection *s, const struct filter *f, struct filter_failure *failure) must_check;
void selection_done(struct selection *s);

/* Scans for chunks of the selection. `grid_ms` as in scan_options. `ret` needs
 * selection_scan_done() in any case. */
int selection_scan(const struct selection *s, int64_t grid_ms, struct scan *ret) must_check;
/* Adds what the scan read to s->stats, and ends it. */
void selection_scan_done(const struct selection *s, struct scan *scan);

/* The series label of this name, or -1: then it is a sample label. */
int series_label_find(struct slice name);

/* The sample label of this name that a set has; NULL: none. */
const struct label *label_find(const struct part *p, uint32_t set, struct slice name);

/* A label's value as text: its string or its number in `buf`. */
struct slice label_text(const struct part *p, const struct label *l, char buf[static 24]);

/* Whether only a part of the rows counts. */
static inline bool selection_looks_at_rows(const struct selection *s)
{
	return s->sets || s->nodes;
}

/* Whether row i of a wanted series counts. */
static inline bool selection_has_row(const struct selection *s, const struct rows *rows, uint32_t i)
{
	return (!s->sets || s->sets[rows->labels ? rows->labels[i] : 0]) &&
	       !(s->nodes && s->nodes[rows->node[i]] & CALLTREE_DROPPED);
}

/* The part of the total of the chunk where `scan` stands that counts. 1, 0: it
 * cannot be read, -ENOBUFS, -ENOMEM. */
int selection_chunk_total(const struct selection *s, struct scan *scan, int64_t *ret) must_check;
