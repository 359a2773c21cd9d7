/* SPDX-License-Identifier: Apache-2.0 */
/* fleet.h: the CPU profiles of a made-up fleet, for measuring the store.
 *
 *   service   functions -> a tree of calls -> stacks of hour 0, 1, 2 ...
 *   node      nine tenths of its service's stacks of the hour, the rest its own
 *   profile   a minute of one busy core: 6,000 samples drawn by weights (Zipf),
 *             which meet about 450 of the node's 2,000 stacks
 *
 * Each hour one stack in fifty is replaced by a relative of another. Weights
 * differ between nodes and drift from hour to hour. The same seed, node and
 * minute always make the same profile, in any order of asking. One thread. */
#pragma once

#include "model/profile.h"

#define FLEET_START_MS	INT64_C(1767571200000) /* 2026-01-05 00:00 UTC */
#define FLEET_MINUTE_MS INT64_C(60000)

struct fleet_shape {
	uint64_t seed;
	uint32_t n_nodes, n_services, n_hours;
	uint32_t n_stacks;  /* of a node in an hour */
	uint32_t n_samples; /* of a profile */
};

/* 2,000 stacks, 6,000 samples, a service for each ten nodes, ten at most. */
struct fleet_shape fleet_shape_of(uint32_t n_nodes, uint32_t n_hours);

struct fleet;

/* Ends the program when there is no memory. */
struct fleet *fleet_new(const struct fleet_shape *shape);
void fleet_free(struct fleet **f); /* for _cleanup_ */

/* Fills `ret`, which the caller has initialised and which is empty: its tables
 * are read only, nothing can be interned into them. 0 or negative errno. */
int fleet_profile(struct fleet *f, uint32_t node, uint32_t minute, struct profile *ret) must_check;

/* The same, each sample as a row of its own with the time it was taken, in any order of stacks. */
int fleet_profile_timed(struct fleet *f, uint32_t node, uint32_t minute, struct profile *ret) must_check;

/* "checkout", "node-017.fleet" */
void fleet_service_name(const struct fleet *f, uint32_t node, char out[static 32]);
void fleet_host_name(uint32_t node, char out[static 32]);
