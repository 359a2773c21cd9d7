/* SPDX-License-Identifier: Apache-2.0 */
#include "store/compaction.h"

#define TIER	  4			 /* blocks of a level that become one */
#define CLOSED_MS (3600 * INT64_C(1000)) /* a day is over so long after its end */
#define QUIET_MS  (900 * INT64_C(1000))	 /* and quiet when nothing has come for so long */
#define HURRY	  32			 /* so many blocks of a day that is over are not left to lie */
#define MAX_LEVEL 16

#define LEVEL_UNDER_WAY 3 /* of zstd */
#define LEVEL_AT_REST	6

/* Blocks of one span of starts stand together, small ones first. */
static int compare_block(const void *a, const void *b)
{
	const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;
	if (x->starts_from_ms != y->starts_from_ms)
		return x->starts_from_ms < y->starts_from_ms ? -1 : 1;
	if (x->starts_to_ms != y->starts_to_ms)
		return x->starts_to_ms < y->starts_to_ms ? -1 : 1;
	/* Not by level: a large block of a low one would stand before those that still fit together. */
	if (x->n_nodes != y->n_nodes)
		return x->n_nodes < y->n_nodes ? -1 : 1;
	return memcmp(&x->id, &y->id, sizeof(x->id));
}

static bool has_raw(const struct block *b)
{
	return b->resolutions & 1u << RES_RAW;
}

static bool has_sums(const struct block *b)
{
	return b->resolutions & 1u << RES_5MIN;
}

static bool is_same_span(const struct block *a, const struct block *b)
{
	return a->starts_from_ms == b->starts_from_ms && a->starts_to_ms == b->starts_to_ms;
}

/* Takes the blocks of one kind, the smallest first, as far as they fit. `level` < 0: of any. */
static void gather(struct block **blocks, uint32_t n, int level, bool raw, const struct compaction_limits *l,
		   struct compaction *ret)
{
	*ret = (struct compaction){ .why = COMPACT_MERGE, .finest = raw ? RES_RAW : RES_5MIN, .coarsest = RES_DAY };
	for (uint32_t i = 0; i < n && ret->n < COMPACTION_MAX; i++) {
		struct block *b = blocks[i];
		if (b->is_bad || has_raw(b) != raw || (level >= 0 && b->level != (uint64_t)level))
			continue;
		if (ret->n && ret->n_nodes + b->n_nodes > l->n_nodes)
			break;
		ret->block[ret->n++] = b;
		ret->n_nodes += b->n_nodes;
	}
}

static bool plan_one(struct compaction *ret, enum compaction_why why, struct block *b)
{
	*ret = (struct compaction){
		.why = why,
		.block = { b },
		.n = 1,
		.n_nodes = b->n_nodes,
		.finest = RES_5MIN,
		.coarsest = RES_DAY,
		.zstd_level = LEVEL_AT_REST,
	};
	return true;
}

/* What lies at rest would keep its key until it goes. One that is not to be sealed any more stays. */
static bool plan_reseal(struct block **blocks, uint32_t n, const struct compaction_limits *l, struct compaction *ret)
{
	for (uint32_t i = 0; l->key_id && i < n; i++) {
		struct block *b = blocks[i];
		if (b->is_bad || strcmp(b->key_id, l->key_id) == 0 || b->n_nodes > l->n_nodes)
			continue;
		(void)plan_one(ret, COMPACT_RESEAL, b);
		ret->finest = has_raw(b) ? RES_RAW : RES_5MIN;
		return true;
	}
	return false;
}

static bool plan_span(struct block **blocks, uint32_t n, const struct compaction_limits *l, struct compaction *ret)
{
	int64_t newest = INT64_MIN;
	for (uint32_t i = 0; i < n; i++)
		if (blocks[i]->arrived_to_ms > newest)
			newest = blocks[i]->arrived_to_ms;
	bool is_over = blocks[0]->starts_to_ms + CLOSED_MS < l->now_ms;
	bool is_quiet = newest + QUIET_MS < l->now_ms || n >= HURRY;
	if (is_over && is_quiet) {
		for (int raw = 1; raw >= 0; raw--) {
			gather(blocks, n, -1, raw, l, ret);
			ret->zstd_level = LEVEL_AT_REST;
			if (ret->n > 1 || (ret->n == 1 && !has_sums(ret->block[0])))
				return true;
		}
		return plan_reseal(blocks, n, l, ret);
	}
	for (int level = 0; level < MAX_LEVEL; level++) {
		gather(blocks, n, level, true, l, ret);
		ret->zstd_level = LEVEL_UNDER_WAY;
		if (ret->n >= TIER)
			return true;
	}
	return false;
}

static bool plan_age(struct block **blocks, uint32_t n, const struct compaction_limits *l, struct compaction *ret)
{
	for (uint32_t i = 0; i < n; i++) {
		struct block *b = blocks[i];
		if (b->arrived_to_ms + l->sums_age_ms < l->now_ms)
			return plan_one(ret, COMPACT_EXPIRE, b);
		if (b->arrived_to_ms + l->raw_age_ms < l->now_ms && has_raw(b) && has_sums(b) && !b->is_bad)
			return plan_one(ret, COMPACT_THIN, b);
	}
	return false;
}

/* What arrived first, of those whose raw profiles could go; else of all. */
static bool plan_space(struct block **blocks, uint32_t n, const struct compaction_limits *l, struct compaction *ret)
{
	uint64_t bytes = 0;
	struct block *thin = NULL, *oldest = NULL;
	for (uint32_t i = 0; i < n; i++) {
		struct block *b = blocks[i];
		bytes += b->size;
		if (!oldest || b->arrived_to_ms < oldest->arrived_to_ms)
			oldest = b;
		if (has_raw(b) && has_sums(b) && !b->is_bad && (!thin || b->arrived_to_ms < thin->arrived_to_ms))
			thin = b;
	}
	if (bytes <= l->bytes)
		return false;
	return thin ? plan_one(ret, COMPACT_THIN_FOR_SPACE, thin) : plan_one(ret, COMPACT_EVICT, oldest);
}

bool compaction_plan(struct block **blocks, uint32_t n, const struct compaction_limits *l, struct compaction *ret)
{
	if (n == 0)
		return false;
	if (plan_age(blocks, n, l, ret) || plan_space(blocks, n, l, ret))
		return true;
	qsort(blocks, n, sizeof(*blocks), compare_block);
	for (uint32_t i = 0; i < n;) {
		uint32_t end = i + 1;
		while (end < n && is_same_span(blocks[i], blocks[end]))
			end++;
		if (plan_span(blocks + i, end - i, l, ret))
			return true;
		i = end;
	}
	return false;
}
