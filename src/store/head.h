/* SPDX-License-Identifier: Apache-2.0 */
/* head.h: what came in since the last block was written, in memory.
 *
 *   head_prepare   names and rows go in, nobody sees them yet       may fail: out of memory
 *   (the log makes the profile durable)
 *   head_publish   the chunks join their series                     cannot fail
 *   head_abandon   the chunks go; names stay
 *
 * Ids only grow: what a reader saw stays true. Not thread-safe: store.h
 * guards it. */
#pragma once

#include "store/keys.h"
#include "store/known_stacks.h"
#include "store/part.h"
#include "store/rows.h"
#include "store/times.h"

#define HEAD_MAX_SERIES 1000000
#define HEAD_MAX_HOSTS	100000

struct head_chunk {
	struct chunk chunk;
	uint32_t size; /* of data */
	uint32_t n_observations;
	int64_t unit;  /* of their values */
	uint8_t *data; /* the columns of rows.h and times.h, each led by its size */
};

/* What head.part does not say of a series. */
struct head_series {
	VEC(struct head_chunk) chunks; /* in order of arrival */
	uint32_t n_staged;	       /* chunks prepared: room is kept for them */
};

struct head {
	struct part part;
	VEC(struct head_series) series; /* n as part.series.n */
	uint32_t n_staged;
	VEC(struct key_row) keys; /* of the profiles */
	struct part_index index;
	struct label_guard labels;
	struct known_stacks known;
	int64_t arrived_from_ms, arrived_to_ms;
	uint64_t last_seq; /* of the log's records in here */
	uint64_t n_observations;
	struct membudget budget;
};

/* `memory_max` caps everything. Of each label of samples, values behind the first
 * `max_values` become GUARD_OTHER. */
int head_init(struct head *h, size_t memory_max, uint32_t max_values) must_check;
void head_done(struct head *h);

/* A prepared profile; to be published or abandoned. */
struct staged {
	uint32_t n_chunks;
	struct {
		uint32_t series;
		struct head_chunk chunk;
	} chunk[PROFILE_MAX_TYPES];
	uint32_t host;
	struct window window;
	struct losses losses;
	struct key_ref key;
	int64_t from_ms, to_ms, arrived_ms;
	uint64_t seq;
};

/* -ENOBUFS when memory_max is reached, -EDQUOT when a number of things is:
 * `err` says which. The caller sets key and seq before head_publish(). */
int head_prepare(struct head *h, const struct intake *in, const struct intake_profile *p, struct staged *ret,
		 struct error *err) must_check;
void head_publish(struct head *h, struct staged *s);
void head_abandon(struct head *h, struct staged *s);
