/* SPDX-License-Identifier: Apache-2.0 */
/* head.h: everything stored, in memory, ready to be summed.
 *
 *   names    one dict and one set of sample labels shared by all profiles
 *   series   { labels, type } -> chunks { time, rows of (node, labels, value) }
 *   hosts    name -> windows { time, CPUs, losses }     what was measured at all
 *   keys     idempotency keys seen
 *
 *   head_prepare   names and rows go in, nobody sees them yet       may fail: out of memory
 *   (the log makes the profile durable)
 *   head_publish   the chunks join their series                     cannot fail
 *   head_abandon   the chunks go, the key is free again; names stay
 *
 * Ids only grow: what a reader saw stays true. Not thread-safe: store.h
 * guards it. Readers use the structs directly. */
#pragma once

#include "model/window_info.h"
#include "store/chunk.h"
#include "store/intake.h"

#define HEAD_MAX_SERIES	 20000
#define HEAD_MAX_HOSTS	 1000
#define HEAD_MAX_SOURCES 64

struct series {
	struct str_id label[N_SERIES_LABELS];
	struct str_id type; /* "cpu:nanoseconds" */
	uint32_t host;	    /* index into head.hosts */
	uint32_t n_staged;  /* chunks prepared: room is kept for them */
	int64_t last_ms;
	VEC(struct chunk) chunks; /* in order of arrival */
};

/* One interval in which a host was measured. Profiles of one window (same
 * host, start and duration) share it: their samples add up; each loss is the
 * largest that one of them reports, since it is the host's and not theirs. */
struct window {
	int64_t from_ms;
	uint32_t duration_ms;
	uint32_t n_cpus; /* 0 = unknown */
	uint32_t source; /* index into head.sources; 0 = unknown */
	uint32_t losses; /* index into head.losses; 0 = none lost */
	uint64_t n_samples;
};

struct losses {
	uint64_t n[N_LOSSES];
};

/* What took the samples and how it walked their stacks, as window_info says it. */
struct source {
	char name[32], unwind[32];
};

struct host {
	struct str_id name;
	uint32_t n_staged;
	VEC(struct window) windows; /* by from_ms */
};

struct key_row {
	uint64_t hash_high;
	uint32_t state; /* enum key_state */
	uint32_t pad;
};

struct head {
	struct profile names; /* dict and label sets only: no samples */
	VEC(struct series) series;
	VEC(struct host) hosts;
	VEC(struct losses) losses;  /* [0] = none */
	VEC(struct source) sources; /* [0] = not known */
	uint32_t n_losses_staged;

	struct u64map series_ids, host_ids, key_ids;
	VEC(struct key_row) keys;
	uint64_t key_seed;

	uint64_t n_profiles;
	int64_t oldest_ms, newest_ms; /* 0 = empty */
	struct membudget budget;
};

/* `memory_max` caps everything. */
int head_init(struct head *h, size_t memory_max) must_check;
void head_done(struct head *h);

enum key_state { KEY_UNKNOWN, KEY_PENDING, KEY_STORED };
/* KEY_UNKNOWN for an empty key. */
enum key_state head_key_state(const struct head *h, struct slice key);

/* A prepared profile; to be published or abandoned. */
struct staged {
	uint32_t n_chunks;
	struct {
		uint32_t series;
		struct chunk chunk;
	} chunk[PROFILE_MAX_TYPES];
	uint32_t host;
	struct window window;
	struct losses losses;
	uint32_t key; /* index into head.keys + 1; 0 = none */
	int64_t from_ms, to_ms;
};

/* -ENOBUFS when memory_max is reached, -EDQUOT when a number of things is:
 * `err` says which. */
int head_prepare(struct head *h, const struct intake *in, const struct intake_profile *p, struct staged *ret,
		 struct error *err) must_check;
void head_publish(struct head *h, struct staged *s);
void head_abandon(struct head *h, struct staged *s);

static inline struct slice head_string(const struct head *h, struct str_id id)
{
	return strtab_get(&h->names.dict.strings, id);
}
