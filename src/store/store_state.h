/* SPDX-License-Identifier: Apache-2.0 */
/* store_state.h: what the files of a store share; for no one else.
 *
 *   writer (store_writer.c)   queue -> active head + log; seals the head when it is large or old
 *   keeper (store_keeper.c)   sealed head -> block; compaction; retention
 *   views  (view.c)           active, sealed, blocks at one moment
 *
 * Locks, in the order they may be taken: parts_lock, a head's lock, the
 * blockset's own. queue_lock is taken with none of them held. */
#pragma once

#include "store/blockset.h"
#include "store/guard.h"
#include "store/head.h"
#include "store/store.h"

#include <pthread.h>

struct stored_head {
	struct head head;
	pthread_rwlock_t lock; /* guards `head`, which the writer changes until it is sealed */
	uint32_t n_refs;       /* parts_lock */
};

/* Why commits are refused. */
enum block_reason {
	REFUSE_NOT,
	REFUSE_MEMORY, /* each commit is tried all the same: one may still fit */
	REFUSE_DISK_LIMIT,
	REFUSE_DISK_RESERVE,
	REFUSE_DISK_ERROR,
	REFUSE_BLOCKS, /* the sealed head cannot be written */
};

struct store {
	struct store_options options;
	char *dir;
	int dir_fd, lock_fd;
	struct wal *wal;       /* the writer's, once it runs */
	struct keys keys;      /* the writer's */
	struct guard guard;    /* the writer's */
	uint64_t n_folded_now; /* the writer's: label sets since it last told */
	struct blockset *blocks;

	/* Guards the two heads and their references. */
	pthread_mutex_t parts_lock;
	pthread_cond_t sealed_changed;
	struct stored_head *active, *sealed; /* sealed: NULL = none is being written */
	uint64_t sealed_seq;		     /* last record of the log in `sealed` */
	uint64_t log_sealed;		     /* the writer's: bytes of the log before the active head's */
	bool flush_failed;
	struct error flush_err;
	_Atomic bool stop_keeper;
	struct store_erasure *erasure; /* asked for; NULL = none */
	bool seal_wanted;	       /* for it; the writer does it */
	_Atomic bool cancel_erasure;
	uint32_t node_cap; /* the keeper's: of blocks that become one */

	/* Guards all below. */
	pthread_mutex_t queue_lock;
	pthread_cond_t wake;
	struct store_commit *first, **last;
	bool stop;
	enum block_reason refuse;
	struct error refuse_err;
	int refuse_result;
	uint64_t refuse_limit, refuse_need;
	uint64_t drop_seq; /* the log may go up to here */
	bool is_woken;
	uint64_t log_used;
	uint64_t n_stored, n_duplicates, n_refused, n_failed, n_keys, n_keys_forgotten;
	uint64_t n_syncs, sync_ns, sync_max_ns;
	uint64_t n_folded_values, n_folded_series, n_folded_label_sets;
	struct store_keeper_stats keeping;

	/* Records that could not be read at start: they stay in the log. */
	VEC(uint64_t) kept;

	pthread_t writer, keeper;
	bool has_writer, has_keeper;
};

#define MIB(n) ((n) >> 20)

/* NULL: nothing is sealed. */
static inline const struct master_key *store_writer_key(const struct store *s)
{
	return s->options.keys ? keyring_writer(s->options.keys) : NULL;
}

int stored_head_new(const struct store *s, size_t memory_max, struct stored_head **ret) must_check;
/* With parts_lock. */
void stored_head_unref(struct stored_head *h);

/* The keys that blocks hold; the number of blocks whose keys cannot be read. */
uint32_t store_load_keys(struct store *s);

/* ---- store_writer.c ---- */

int writer_start(struct store *s, struct error *err) must_check;
void writer_stop(struct store *s);
/* Something other than a commit is due: seal_wanted. */
void writer_wake(struct store *s);
/* The active head becomes the sealed one; waits until there is none. -ENOSPC and the like: it
 * cannot be written, `err` says why. */
int writer_seal(struct store *s, struct error *err) must_check;
/* Segments that blocks hold go. */
void writer_drop_log(struct store *s);
int writer_check_disk(struct store *s, uint64_t size, enum block_reason *ret_why, uint64_t *ret_limit,
		      struct error *err) must_check;
void writer_refuse(struct store *s, enum block_reason why, int result, uint64_t limit, const struct error *err);

/* ---- store_keeper.c ---- */

int keeper_start(struct store *s, struct error *err) must_check;
/* What is sealed and not written yet stays in the log. */
void keeper_stop(struct store *s);
/* Writes the sealed head as blocks. For start; else the keeper does it. */
int keeper_flush(struct store *s, struct error *err) must_check;
/* Blocks without what `e` chooses take the place of those that have it. */
int keeper_erase(struct store *s, struct store_erasure *e, struct error *err) must_check;
/* One round of compaction and retention. */
int keeper_tidy(struct store *s, int64_t now_ms, bool *ret_more, struct error *err) must_check;
