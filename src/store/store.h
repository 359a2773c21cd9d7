/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: the log, the head and the blocks together: what "acknowledged" means.
 *
 *   HTTP threads            writer thread
 *   decode, store_submit -> prepare in the head    (write lock, no I/O)
 *                           append to the log, fsync the batch   (no lock)
 *                           publish in the head    (write lock)
 *                        <- done(result)
 *                           head large or old: sealed, a new one takes over
 *   keeper thread           sealed head -> block, on disk -> the log behind it goes
 *                           small blocks -> larger ones with sums; old ones go
 *   queries                 view.h
 *
 * A batch is what came in while the last one was synced, so the first to wait
 * waits for no timer. A commit whose key is stored, or comes a second time
 * within the batch, is a duplicate and shares the outcome of the first.
 *
 * Limits: memory of heads and tables, bytes on disk, free bytes of the disk. At
 * a limit, or when the disk fails, commits are refused with -ENOSPC, -ENOBUFS
 * or -EIO; reading goes on. The writer looks twice a second whether the disk
 * is usable again. */
#pragma once

#include "store/block_build.h"
#include "store/blockset.h"
#include "store/head.h"
#include "store/wal.h"

struct store;

struct store_options {
	const char *dir;	    /* created with its parents */
	size_t memory_limit;	    /* the whole program's, for messages */
	size_t head_memory;	    /* the share of what is in memory only; half of it is one head's */
	size_t tables_memory;	    /* of blocks' tables */
	size_t build_memory;	    /* of one block being written */
	size_t decode_memory;	    /* for one replay thread's decoding */
	unsigned n_threads;	    /* replay decodes with so many */
	uint64_t disk_limit;	    /* bytes of log and blocks: the oldest go first */
	uint64_t disk_reserve;	    /* bytes of the disk left to others */
	uint64_t segment_size;	    /* 0 = 64 MiB */
	uint64_t flush_log;	    /* the head is written when the log has so many bytes; 0 = 192 MiB; at most
				     * disk_limit / 12, if that is 1 MiB or more */
	int64_t flush_age_ms;	    /* and when something in it is so old; 0 = 1 hour */
	int64_t raw_age_ms;	    /* single profiles go so long after they came, sums stay; 0 = 30 days */
	int64_t sums_age_ms;	    /* sums go; 0 = 400 days */
	uint32_t max_series;	    /* label sets a day, 0 = 100,000; others fold (guard.h) */
	uint32_t max_values;	    /* of a label, 0 = 10,000 */
	const struct keyring *keys; /* seal what is written, open what is read; NULL = nothing is sealed */
	bool is_idle;		    /* no keeper thread: tests call store_flush(), store_tidy() */
};

struct store_replay {
	struct wal_report log;
	uint64_t n_profiles;
	uint64_t n_duplicates;
	uint64_t n_in_blocks;	/* records that blocks hold already */
	uint64_t n_undecodable; /* records whose body cannot be read: they stay in the log */
	uint64_t n_flushes;	/* blocks written on the way, since memory was full */
	struct blockset_report blocks;
	uint32_t n_keys_lost; /* blocks whose idempotency keys cannot be read */
	int64_t took_ns;
};

/* Locks the folder, replays the log, starts the writer. `ret_replay` may be
 * NULL. -EBUSY: another process has the folder; -ENOKEY, -EKEYREJECTED: something in
 * it is sealed with a key that is not among `keys`, which live as long as the store. */
int store_open(const struct store_options *options, struct store **ret, struct store_replay *ret_replay,
	       struct error *err) must_check;
/* Commits what was submitted, then ends. */
void store_close(struct store **s);

/* One profile to be made durable. The caller owns it and all it points to
 * until done() was called, which happens on the writer thread. */
struct store_commit {
	struct wal_record record;
	struct intake_profile *profile;
	void (*done)(struct store_commit *c);

	int result; /* 0, or negative errno with `err` and, where one was hit, `limit` */
	bool duplicate;
	uint64_t limit;
	struct error err;

	/* The store's own. */
	struct store_commit *next, *twin; /* twin: same key, earlier in the batch */
	bool is_staged;
	struct staged staged;
};

/* 0: done() will be called. Negative errno with c->err and c->limit: refused
 * at once, done() will not be called. */
int store_submit(struct store *s, struct store_commit *c) must_check;

/* Writes what is in memory to blocks, one round of compaction and retention, in
 * this thread. Only with options.is_idle. *ret_more: another round has work. */
int store_flush(struct store *s, struct error *err) must_check;
int store_tidy(struct store *s, int64_t now_ms, bool *ret_more, struct error *err) must_check;

/* Takes profiles out of all that was stored before the call: those of chosen series
 * that start in [from, to), and where only sums are left, those of steps that the range meets. Files are written anew
 * without them and without names that only they had; views taken before see them as long as they are held, and the log
 * until its segments go, which is at once. Waits until it is done. One at a time: -EBUSY. */
struct store_erasure {
	struct erasure what;
	uint64_t n_profiles, n_blocks; /* of which something was taken */

	/* The store's own. */
	bool is_done;
	int result;
	struct error err;
};

int store_erase(struct store *s, struct store_erasure *e, struct error *err) must_check;
/* One under way ends soon with -ECANCELED, and so does each one after it. */
void store_cancel_erasures(struct store *s);

/* Since start: what the keeper did. */
struct store_keeper_stats {
	uint64_t n_flushes, n_flush_failures, flush_ns;
	uint64_t n_compactions, n_compaction_failures, compaction_ns, compacted_bytes;
	uint64_t n_thinned, n_expired;		 /* blocks whose raw profiles, and that themselves went by age */
	uint64_t n_thinned_for_space, n_evicted; /* the same by --disk-limit */
	uint64_t n_resealed;			 /* written anew with the key of now */
	uint64_t n_damaged_pages;		 /* left out of new blocks: they could not be read */
};

struct store_status {
	bool accepting;
	char reason[512];		    /* when not accepting */
	bool is_low;			    /* the disk, or disk_limit, will be full soon */
	uint64_t memory_used, memory_limit; /* of heads */
	uint64_t disk_used, disk_limit;	    /* of log and blocks */
	uint64_t disk_free;
	uint64_t log_bytes;
	uint64_t n_profiles;
	uint64_t n_series, n_nodes, n_label_sets; /* of the active head */
	uint64_t n_keys, n_keys_forgotten;
	int64_t oldest_ms, newest_ms;
	struct blockset_stats blocks;
	struct store_keeper_stats keeping;
	/* Since start: */
	uint64_t n_stored, n_duplicates, n_refused, n_failed;
	uint64_t n_syncs, sync_ns, sync_max_ns;
	uint64_t n_folded_values, n_folded_series, n_folded_label_sets; /* guard.h */
};

void store_get_status(struct store *s, struct store_status *ret);
