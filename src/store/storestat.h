/* SPDX-License-Identifier: Apache-2.0 */
/* storestat.h: what lies in a store's folder, counted. */
#pragma once

#include "store/folder.h"

#define STORESTAT_MAX_ROWS 100000

/* Blocks that have day, level, resolutions and key in common. */
struct storestat_row {
	int64_t starts_from_ms, starts_to_ms; /* of the span of starts; 0 of blocks that cannot be read */
	uint64_t level;
	unsigned resolutions;
	char key_id[KEY_ID_MAX + 1];
	uint64_t n_blocks, bytes, n_profiles, n_series, n_nodes;
	bool is_unread; /* their key is not at hand, or they are damaged: only count, bytes and key are known */
};

/* Files sealed with one key, or with none (""). */
struct storestat_key {
	char id[KEY_ID_MAX + 1];
	uint64_t n_blocks, n_segments, bytes;
	bool is_writer; /* the key that new files get */
};

struct storestat {
	VEC(struct storestat_row) rows; /* by day, level, resolutions, key */
	struct storestat_key key[KEYRING_MAX + 2];
	uint32_t n_keys;
	uint64_t n_blocks, n_damaged, n_profiles, block_bytes, n_segments, log_bytes;
	int64_t oldest_ms, newest_ms; /* of profiles in blocks; 0 = there are none */
	struct error first;	      /* about the first block that cannot be read for another reason than its key */
};

/* -EBUSY: blocks came and went too fast. `ret` wants storestat_done() in any case. */
int storestat_take(struct folder *f, struct storestat *ret, struct error *err) must_check;
void storestat_done(struct storestat *s);
