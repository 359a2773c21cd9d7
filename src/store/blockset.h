/* SPDX-License-Identifier: Apache-2.0 */
/* blockset.h: the published blocks of a store.
 *
 *   blockset_publish   files that are written -> the manifest -> the list; those they replace go
 *   blockset_list      the list of this moment, each block held
 *   blockset_load      a block's tables in memory: shared, kept for a while
 *
 * Blocks never change. One that was replaced leaves the list at once, and its file
 * is <id>.tmp until it goes with the last holder. Loaded tables stay until their memory is needed;
 * whoever loads waits for that, so a thread must not hold one loaded block
 * while it loads another. Safe for any thread, but only one publishes. */
#pragma once

#include "store/block_part.h"
#include "store/manifest.h"

struct blockset;

struct block {
	struct block_id id;
	char key_id[KEY_ID_MAX + 1]; /* "" = not sealed */
	uint64_t size;
	int64_t from_ms, to_ms, starts_from_ms, starts_to_ms, arrived_from_ms, arrived_to_ms;
	uint64_t last_seq, n_profiles, n_nodes, n_series, n_observations, level;
	unsigned resolutions;
	char *types; /* each with a NUL behind it */
	uint32_t types_size;

	bool is_bad; /* the keeper's: it cannot be read, and is left as it is */

	/* The set's own. */
	uint32_t n_refs, n_users;
	bool is_gone, is_loading, is_damaged;
	uint64_t used_at;
	struct block_part *loaded;
	struct membudget budget;
};

struct blockset_report {
	uint32_t n_damaged; /* listed, but they cannot be read; their files stay */
	uint32_t n_missing; /* listed, but there is no file */
	uint32_t n_orphans; /* never published: removed */
	bool is_rebuilt;    /* the manifest was damaged, and made anew from the blocks: blockset_settle() it */
	bool is_seed_lost;  /* and no block says the seed of its keys' hashes */
	struct error first; /* about the first of those */
};

struct blockset_stats {
	uint32_t n_blocks, n_damaged;
	uint64_t bytes, cache_used, cache_max, n_loads, n_hits;
	int64_t oldest_ms, newest_ms;
	uint64_t n_profiles;
};

/* `dir` is created. Its tables get `cache_max` bytes. `keys` (NULL = none) open what is sealed.
 * -EPROTONOSUPPORT; -ENOKEY, -EKEYREJECTED: a block's key is not among them; -EIO ... */
int blockset_open(const char *dir, size_t cache_max, const struct keyring *keys, struct blockset **ret,
		  struct blockset_report *report, struct error *err) must_check;
void blockset_close(struct blockset **s); /* for _cleanup_ */

/* Of the log, as the manifest has it. */
uint64_t blockset_last_seq(const struct blockset *s);
uint64_t blockset_key_seed(const struct blockset *s);
const uint64_t *blockset_kept(const struct blockset *s, uint32_t *ret_n);

/* Writes a manifest that was made anew, with the records of the log at most blockset_last_seq() that no block holds.
 * Until then the damaged one stays: nobody but the log knows those. */
int blockset_settle(struct blockset *s, const uint64_t *kept, uint32_t n_kept, struct error *err) must_check;

/* A file to write a block into; blockset_publish() gives it its name. The fd or negative errno. */
int blockset_create(struct blockset *s, const struct block_id *id, struct error *err) must_check;
/* Removes the file of a block that was not published; one that a manifest may name which
 * may be on disk stays until another manifest is. */
void blockset_discard(struct blockset *s, const struct block_id *id);

struct blockset_change {
	const struct block_meta *added;
	uint32_t n_added;
	struct block *const *removed; /* held by the caller */
	uint32_t n_removed;
	uint64_t last_seq; /* 0: as before */
	const uint64_t *kept;
	uint32_t n_kept; /* with last_seq */
};

/* A change that is on disk; it takes effect with blockset_swap(). */
struct blockset_pending {
	const struct blockset_change *change;
	struct block **added;
	struct manifest manifest;
};

/* All of it or nothing. On success only blockset_swap() may follow, and must. */
int blockset_publish(struct blockset *s, const struct blockset_change *c, struct blockset_pending *ret,
		     struct error *err) must_check;
void blockset_swap(struct blockset *s, struct blockset_pending *p);

/* Holds all blocks. *ret is malloc()ed; blockset_release() it. -ENOMEM. */
int blockset_list(struct blockset *s, struct block ***ret, uint32_t *ret_n) must_check;
void blockset_release(struct blockset *s, struct block **blocks, uint32_t n);

/* Its tables, which stay until blockset_unload(). -EBADMSG, -EIO: damaged, and counted;
 * -ENOBUFS: they need more than cache_max. */
int blockset_load(struct blockset *s, struct block *b, const struct part **ret, struct error *err) must_check;
void blockset_unload(struct blockset *s, struct block *b);

/* The keys of blocks in which something arrived at or after `since_ms`; the number
 * of blocks whose keys cannot be read. */
uint32_t blockset_read_keys(struct blockset *s, int64_t since_ms, int (*add)(void *arg, const struct key_row *row),
			    void *arg);

/* Bytes of all blocks' files. */
uint64_t blockset_bytes(struct blockset *s);
void blockset_get_stats(struct blockset *s, struct blockset_stats *ret);
int blockset_dir(const struct blockset *s);
void block_file_name(const struct block_id *id, char out[static BLOCK_ID_HEX + 4]);
