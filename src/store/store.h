/* SPDX-License-Identifier: Apache-2.0 */
/* store.h: the log and the head together: what "acknowledged" means.
 *
 *   HTTP threads            writer thread
 *   decode, store_submit -> prepare in the head    (write lock, no I/O)
 *                           append to the log, fsync the batch   (no lock)
 *                           publish in the head    (write lock)
 *                        <- done(result)
 *   queries hold the read lock
 *
 * A batch is what came in while the last one was synced, so the first to wait
 * waits for no timer. A commit whose key is stored, or comes a second time
 * within the batch, is a duplicate and shares the outcome of the first.
 *
 * Limits: memory of the head, bytes of the log, free bytes of the disk. At a
 * limit, or when the disk fails, commits are refused with -ENOSPC, -ENOBUFS
 * or -EIO; reading goes on. The writer looks twice a second whether the disk
 * is usable again. */
#pragma once

#include "store/head.h"
#include "store/wal.h"

struct store;

struct store_options {
	const char *dir;       /* created with its parents */
	size_t memory_limit;   /* the whole program's, for messages */
	size_t head_memory;    /* the head's share of it */
	size_t decode_memory;  /* for one replay thread's decoding */
	unsigned n_threads;    /* replay decodes with so many */
	uint64_t disk_limit;   /* bytes of the log */
	uint64_t disk_reserve; /* bytes of the disk left to others */
	uint64_t segment_size; /* 0 = 64 MiB */
};

struct store_replay {
	struct wal_report log;
	uint64_t n_profiles;
	uint64_t n_duplicates;
	uint64_t n_undecodable; /* records whose body this version cannot read */
	uint64_t n_left_out;	/* the head was full: they stay in the log only */
	int64_t took_ns;
};

/* Locks the folder, replays the log, starts the writer. `ret_replay` may be
 * NULL. -EBUSY: another process has the folder. */
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

/* The head, which does not change until store_read_end(). Short: commits wait. */
const struct head *store_read_begin(struct store *s);
void store_read_end(struct store *s);

struct store_status {
	bool accepting;
	char reason[512];		    /* when not accepting */
	uint64_t memory_used, memory_limit; /* of the head */
	uint64_t disk_used, disk_limit;
	uint64_t n_profiles, n_series, n_nodes, n_label_sets, n_keys;
	int64_t oldest_ms, newest_ms;
	/* Since start: */
	uint64_t n_stored, n_duplicates, n_refused, n_failed;
	uint64_t n_syncs, sync_ns, sync_max_ns;
};

void store_get_status(struct store *s, struct store_status *ret);
