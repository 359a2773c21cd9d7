/* SPDX-License-Identifier: Apache-2.0 */
/* profile.h: one profile in memory.
 *
 *   dict      what stacks are made of (dict.h)
 *   samples   node[i], labels[i], value[type][i]    one column per type
 *             sample_time_ns[i]                     where one of them has a time
 *   labels    interned sets of { key, str | num + unit }
 *   meta      times, period, comments, pprof's leftovers
 *
 * Sample rows need not be unique; profile_compact() makes them so, and forgets
 * their times. Labels id 0 is the empty set. All memory is charged to the budget given at init. */
#pragma once

#include "model/dict.h"

#define PROFILE_MAX_TYPES 32
#define LABELS_MAX	  64 /* labels of one sample */

struct labels_id {
	uint32_t v;
};

struct label {
	struct str_id key;
	struct str_id str;  /* if is_num == 0 */
	struct str_id unit; /* of num */
	uint32_t is_num;
	int64_t num;
};

struct value_type {
	struct str_id type, unit;
};

struct profile {
	struct dict dict;

	struct value_type types[PROFILE_MAX_TYPES];
	uint32_t n_types;
	VEC(struct node_id) node;
	VEC(struct labels_id) labels;
	VEC(int64_t) value[PROFILE_MAX_TYPES]; /* n as node.n for the first n_types */
	/* Unix time of each sample, 0 = it has none; n as node.n, or 0 when none has. */
	VEC(int64_t) sample_time_ns;
	/* Set after profile_init() by who wants them: decoders then give each observation
	 * a row of its own, of which there may be many more than stacks. */
	bool wants_times;

	VEC(struct label) label;  /* all sets, one behind the other */
	VEC(uint32_t) labels_off; /* set i: label[off[i] .. off[i+1]) */
	struct u64map labels_ids; /* by hash */

	int64_t time_ns, duration_ns; /* unix time of the start; 0 = unknown */
	int64_t period;
	struct value_type period_type;
	struct str_id default_type, drop_frames, keep_frames, doc_url;
	VEC(struct str_id) comments;
	VEC(uint32_t) warnings; /* index of comments that say what is wrong with the rest */

	struct membudget *budget;
};

int profile_init(struct profile *p, struct membudget *budget) must_check;
void profile_done(struct profile *p);

/* Appends a value type; all types come before the first sample. -E2BIG past
 * PROFILE_MAX_TYPES. */
int profile_add_type(struct profile *p, struct slice type, struct slice unit) must_check;
int profile_add_comment(struct profile *p, struct slice text) must_check;
/* A comment that whoever reads the file is to hear of, too. */
int profile_add_warning(struct profile *p, struct slice text) must_check;

/* Id of a label set. `set` is sorted in place by key, then value: order does
 * not make two sets differ. -E2BIG past LABELS_MAX. */
int profile_labels(struct profile *p, struct label *set, uint32_t n, struct labels_id *ret) must_check;
const struct label *profile_label_set(const struct profile *p, struct labels_id id, uint32_t *ret_n);

/* `values` has n_types entries. */
int profile_add_sample(struct profile *p, struct node_id node, struct labels_id labels,
		       const int64_t *values) must_check;

/* The same with the sample's own unix time; 0 = none. */
int profile_add_sample_at(struct profile *p, struct node_id node, struct labels_id labels, const int64_t *values,
			  int64_t time_ns) must_check;

static inline uint32_t profile_n_samples(const struct profile *p)
{
	return p->node.n;
}

/* Whether there are times of single samples. */
static inline bool profile_has_times(const struct profile *p)
{
	return p->sample_time_ns.n > 0;
}

static inline int64_t profile_sample_time(const struct profile *p, uint32_t row)
{
	return p->sample_time_ns.n ? p->sample_time_ns.data[row] : 0;
}

/* Sums rows with equal node and labels (saturating) and drops rows whose
 * values are all 0; times of single samples are forgotten. Row order becomes
 * (node, labels). */
int profile_compact(struct profile *p) must_check;

/* Takes labels out of all sets: drop[i] says it of p->label[i]. Sets that
 * differed in nothing else become one. */
int profile_drop_labels(struct profile *p, const bool *drop) must_check;

/* What describes a profile, but times and comments, and of the types those of
 * the mask (bit t = type t), goes to one that has no type yet. */
int profile_copy_header(struct profile *dst, const struct profile *src, uint32_t types) must_check;

/* Adds the samples of `src`, and their times, to `dst`. Both must have the same types by name
 * and unit, in any order (or dst has none yet): -EINVAL with both lists
 * otherwise. What describes a profile (period, default type, doc_url ...) is
 * that of the first; comments are kept once each. Time becomes the
 * earliest start, duration the span covered from the first start to the last
 * end. */
int profile_merge(struct profile *dst, const struct profile *src, struct error *err) must_check;

/* Index of the type to show when none is asked for: default_type, else
 * "cpu", else the last, as google/pprof does. */
uint32_t profile_default_type(const struct profile *p);
/* By "type" or "type:unit"; -ENOENT with the list of types. */
int profile_find_type(const struct profile *p, const char *name, uint32_t *ret, struct error *err) must_check;

/* self[node] += value of the type, for all samples; `self` has
 * dict_n_nodes() entries. Saturates. */
void profile_node_values(const struct profile *p, uint32_t type, int64_t *self);
