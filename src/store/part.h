/* SPDX-License-Identifier: Apache-2.0 */
/* part.h: one piece of what is stored: what is in memory, or a block.
 *
 *   names    one dict and one set of sample labels for all its profiles
 *   series   { labels, type } -> chunks { time, rows of (node, labels, value) }    scan.h reads them
 *   hosts    name -> windows { time, CPUs, losses }     what was measured at all
 *
 * Ids belong to their part. Nothing is in two parts, so what is asked of the
 * store is asked of each part and added up. */
#pragma once

#include "model/profile.h"
#include "model/window_info.h"
#include "store/intake.h"

#define PART_MAX_SOURCES 64

/* How far apart in time profiles are kept; those that start within a step are one chunk. */
enum resolution { RES_RAW, RES_5MIN, RES_HOUR, RES_DAY, N_RESOLUTIONS };

/* Length of a step; 0 for RES_RAW. */
int64_t resolution_ms(enum resolution r);
const char *resolution_name(enum resolution r); /* "raw", "5m", "1h", "1d" */

struct series {
	struct str_id label[N_SERIES_LABELS];
	struct str_id type; /* "cpu:nanoseconds" */
	uint32_t host;	    /* index into part.hosts */
	int64_t last_ms;    /* end of its last profile */
};

/* What the rows of a chunk are about. */
struct chunk {
	int64_t from_ms; /* earliest start */
	uint32_t duration_ms;
	uint32_t n_rows;
	uint64_t n_profiles;
	uint64_t n_first; /* those of which this is the first type: over all series, each profile counts once */
	int64_t scale;	  /* of the values */
	int64_t total;	  /* of all values */
	bool has_times;	  /* of some samples; as far as known before scan_times() */
};

/* One past its last ms; an instant counts as 1 ms. */
static inline int64_t chunk_end(const struct chunk *c)
{
	return c->from_ms + (c->duration_ms ? c->duration_ms : 1);
}

/* One interval in which a host was measured. Profiles of one window (same
 * host, start and duration) share it: their samples add up; each loss is the
 * largest that one of them reports, since it is the host's and not theirs. */
struct window {
	int64_t from_ms;
	uint32_t duration_ms;
	uint32_t n_cpus; /* 0 = unknown */
	uint32_t source; /* index into part.sources; 0 = unknown */
	uint32_t losses; /* index into part.losses; 0 = none lost */
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
	VEC(struct window) windows; /* by from_ms */
};

/* Room for what is learnt of a part's frames while it is in memory: who reads
 * debug files fills it and guards it. */
struct part_lines {
	uint32_t *chain; /* by frame, as in framelines.h */
	uint32_t n;
	uint32_t n_seen; /* frames that have been looked at at all */
	uint64_t generation;
};

struct part {
	struct profile names; /* dict and label sets only: no samples */
	VEC(struct series) series;
	VEC(struct host) hosts;
	VEC(struct losses) losses;  /* [0] = none */
	VEC(struct source) sources; /* [0] = not known */
	uint64_t n_profiles;
	int64_t oldest_ms, newest_ms; /* 0 = empty */
	struct membudget *budget;
	struct part_lines *lines;

	/* Where its chunks are: one of them is set. */
	const struct head *head;
	const struct block_pages *pages;
};

/* Empty; `budget` outlives it. -ENOBUFS, -ENOMEM. */
int part_init(struct part *p, struct membudget *budget) must_check;
void part_done(struct part *p);

static inline struct slice part_string(const struct part *p, struct str_id id)
{
	return strtab_get(&p->names.dict.strings, id);
}

static inline uint32_t part_n_label_sets(const struct part *p)
{
	return p->names.labels_off.n - 1;
}

/* Finds rows by what they are; for parts that grow. */
struct part_index {
	struct u64map series_ids, host_ids;
};

void part_index_init(struct part_index *x, struct membudget *budget);
void part_index_done(struct part_index *x);

/* The host's index, added if new. -EDQUOT: it would be more than `max`; -ENOBUFS, -ENOMEM. */
int part_host(struct part *p, struct part_index *x, struct slice name, uint32_t max, uint32_t *ret) must_check;
/* The same for a series, whose strings are the part's. */
int part_series(struct part *p, struct part_index *x, const struct series *row, uint32_t max, uint32_t *ret) must_check;

/* How many values each label of samples has. */
struct label_guard {
	uint32_t max;
	struct u64map values; /* label << 32 | value */
	struct u64map counts; /* label -> number of them */
	uint64_t n_folded;    /* label sets in which a value became GUARD_OTHER */
};

void label_guard_init(struct label_guard *g, uint32_t max, struct membudget *budget);
void label_guard_done(struct label_guard *g);

/* Adds the label sets of `p`: map[set of p] = set of `dst`. `guard` NULL: values are not counted. */
int label_sets_import(struct profile *dst, const struct profile *p, struct label_guard *guard,
		      struct labels_id *map) must_check;

/* Index of the source; 0 when both words are empty or the table is full. */
uint32_t part_source(struct part *p, const char *name, const char *unwind);

/* What was measured joins the host's windows: with the one of the same time, or
 * in its place. Memory: -ENOBUFS, -ENOMEM before anything changed. */
int part_reserve_window(struct part *p, uint32_t host, uint32_t n_more) must_check;
void part_add_window(struct part *p, uint32_t host, const struct window *w, const struct losses *losses);
