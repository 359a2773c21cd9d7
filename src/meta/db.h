/* SPDX-License-Identifier: Apache-2.0 */
/* db.h: one SQLite file for what is not a profile.
 *
 *   meta.db  meta.db-wal  meta.db-shm      write-ahead log, synchronous=FULL: what is done is on disk
 *
 *   db_open()    checks the file, then brings it to the last version:
 *                version 0 --script[0]--> 1 --script[1]--> 2 ...      one transaction each
 *   db_query_*   one statement in use; prepared statements are kept (the last 32 used)
 *   db_backup()  a copy of one moment, while others write
 *
 * Threads share one connection, which one mutex guards: from db_query_init() to
 * db_query_done() a thread holds it, so that must be short and no second query
 * may begin meanwhile (asserted). Other programs may have the file open, too: a
 * query waits up to DB_BUSY_MS for them; those that open a file in one folder
 * take turns. A backup reads by a connection of its own and holds nobody up. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define DB_BUSY_MS	  3000
#define DB_VALUE_SIZE_MAX (1 << 20) /* of one text, one row, one statement */

struct db;

/* Creates the file when absent, for its owner alone. Reads all of it once, to
 * find damage: -EBADMSG says what to do; nothing was changed. -EPROTONOSUPPORT:
 * a newer version than `n_scripts`; -EACCES, -EROFS: not writable; -EBUSY ...
 * A script that fails leaves the version before it. */
int db_open(const char *path, const char *const *scripts, unsigned n_scripts, struct db **ret,
	    struct error *err) must_check;
void db_free(struct db **db); /* for _cleanup_ */

/* Writes a copy that needs no other file; `path` is replaced once that is whole,
 * sound and on disk. -EINVAL: it is the file itself. SIGKILL may leave
 * `path`.tmp-XXXXXX. */
int db_backup(struct db *db, const char *path, struct error *err) must_check;

struct db_query {
	struct db *db;
	struct sqlite3_stmt *stmt;
	int n_bound, result; /* the first failure of db_bind_*() waits for db_step() */
};

/* `sql` is one statement. On failure there is nothing to be done, and
 * db_query_done() is harmless. */
int db_query_init(struct db_query *q, struct db *db, const char *sql, struct error *err) must_check;
void db_query_done(struct db_query *q); /* for _cleanup_ */

/* The values of ?1, ?2 ... in this order. Texts may be any bytes, are kept as
 * they are and must stay until the query is done. */
void db_bind_int(struct db_query *q, int64_t v);
void db_bind_text(struct db_query *q, struct slice text);
void db_bind_null(struct db_query *q);

/* 1: there is a row, 0: there is none (any more); negative errno: -EEXIST: a
 * constraint, -ENOSPC, -EBUSY, -E2BIG, -EBADMSG: the file is damaged ... */
int db_step(struct db_query *q, struct error *err) must_check;

/* Of the row, from 0. A text is valid until the next db_step(). */
bool db_is_null(struct db_query *q, int column);
int64_t db_int(struct db_query *q, int column);
struct slice db_text(struct db_query *q, int column);

/* Of the statement that was stepped through. */
int64_t db_last_id(const struct db_query *q);
int64_t db_n_changed(const struct db_query *q);
