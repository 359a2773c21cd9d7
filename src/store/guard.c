/* SPDX-License-Identifier: Apache-2.0 */
#include "store/guard.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define DAY_MS INT64_C(86400000)

void guard_init(struct guard *g, const struct guard_limits *limits, uint64_t seed, size_t memory_max)
{
	*g = (struct guard){ .limits = *limits, .seed = seed, .budget = membudget_of(memory_max) };
	u64map_init(&g->series, &g->budget);
	for (int i = 0; i < N_SERIES_LABELS; i++)
		u64map_init(&g->values[i], &g->budget);
}

void guard_done(struct guard *g)
{
	u64map_done(&g->series);
	for (int i = 0; i < N_SERIES_LABELS; i++)
		u64map_done(&g->values[i]);
}

static void start_day(struct guard *g, int64_t now_ms)
{
	u64map_clear(&g->series);
	for (int i = 0; i < N_SERIES_LABELS; i++)
		u64map_clear(&g->values[i]);
	g->since_ms = now_ms;
}

/* Whether the hash is known, or there is room to know it from now on. */
static bool admit(struct u64map *known, uint64_t hash, uint32_t max)
{
	if (u64map_get(known, hash))
		return true;
	uint32_t *slot = known->n < max ? u64map_put(known, hash) : NULL;
	if (slot)
		*slot = 1;
	return slot != NULL;
}

static uint64_t hash_labels(const struct guard *g, const struct intake *in)
{
	uint64_t hash = g->seed;
	for (int i = 0; i < N_SERIES_LABELS; i++)
		hash = XXH3_64bits_withSeed(in->label[i].data, in->label[i].size, hash + (uint64_t)i);
	return hash;
}

/* From the narrowest label on, until the set of labels is known. */
static void fold_series(struct guard *g, struct intake *in)
{
	for (int i = N_SERIES_LABELS - 1; i >= 0; i--) {
		if (in->label[i].size == 0)
			continue;
		in->label[i] = slice_str(GUARD_OTHER);
		if (admit(&g->series, hash_labels(g, in), g->limits.n_series))
			return;
	}
}

void guard_fold(struct guard *g, struct intake *in)
{
	bool any = false;
	if (in->received_ms - g->since_ms >= DAY_MS || in->received_ms < g->since_ms)
		start_day(g, in->received_ms);
	for (int i = 0; i < N_SERIES_LABELS; i++) {
		uint64_t hash = XXH3_64bits_withSeed(in->label[i].data, in->label[i].size, g->seed);
		if (in->label[i].size == 0 || admit(&g->values[i], hash, g->limits.n_values))
			continue;
		in->label[i] = slice_str(GUARD_OTHER);
		any = true;
	}
	g->n_folded_values += any;
	if (admit(&g->series, hash_labels(g, in), g->limits.n_series))
		return;
	fold_series(g, in);
	g->n_folded_series++;
}
