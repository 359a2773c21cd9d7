/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>

#define STATEMENTS_MAX 32

struct statement {
	sqlite3_stmt *stmt;
	uint64_t used; /* when, by db->n_uses */
};

struct db {
	char path[PATH_MAX];
	pthread_mutex_t lock; /* guards all below; nothing else is locked under it */
	sqlite3 *connection;
	struct statement statement[STATEMENTS_MAX];
	uint64_t n_uses;
};

static int errno_of(int result)
{
	switch (result & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EACCES;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_NOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int damaged(const char *path, const char *how, struct error *err)
{
	return error_set(err, -EBADMSG,
			 "%s: damaged (%s); it was left as it is: put a backup in its place, or move it and its -wal "
			 "and -shm files away to begin without",
			 path, how);
}

static int failed(sqlite3 *c, const char *path, int result, struct error *err)
{
	int r = errno_of(result);
	if (r == -EBADMSG)
		return damaged(path, sqlite3_errmsg(c), err);
	const char *help = r == -EBUSY			 ? ": another program holds it"
			   : r == -EACCES || r == -EROFS ? ": the file and its folder must be writable"
							 : "";
	return error_set(err, r, "%s: %s%s", path,
			 sqlite3_errcode(c) == result ? sqlite3_errmsg(c) : sqlite3_errstr(result), help);
}

static int run(sqlite3 *c, const char *path, const char *sql, struct error *err)
{
	int result = sqlite3_exec(c, sql, NULL, NULL, NULL);
	return result == SQLITE_OK ? 0 : failed(c, path, result, err);
}

/* The first value of the first row, as text of one line. */
static int ask(sqlite3 *c, const char *path, const char *sql, char ret[static 200], struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	int result = sqlite3_prepare_v2(c, sql, -1, &stmt, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_step(stmt);
	int r = result == SQLITE_ROW ? 0 : failed(c, path, result, err);
	const unsigned char *text = r == 0 ? sqlite3_column_text(stmt, 0) : NULL;
	if (r == 0)
		(void)snprintf(ret, 200, "%s", text ? (const char *)text : "");
	for (char *newline; r == 0 && (newline = strchr(ret, '\n'));)
		*newline = ' ';
	(void)sqlite3_finalize(stmt);
	return r;
}

static int open_folder_of(const char *path, struct error *err)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = slash ? snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path)
		      : snprintf(folder, sizeof(folder), ".");
	if (n < 0 || (size_t)n >= sizeof(folder))
		return error_set(err, -ENAMETOOLONG, "%s: name too long", path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_set(err, -errno, "%s: %s", folder, strerror(errno)) : fd;
}

static int sync_folder(int folder, const char *path, struct error *err)
{
	return fsync(folder) < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

/* SQLite would let others read it. One that is there is not opened here:
 * closing it would end this process's locks on it. */
static int create_file(int folder, const char *path, struct error *err)
{
	_cleanup_(close_fd)
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return sync_folder(folder, path, err);
}

static int connect_to(const char *path, int flags, sqlite3 **ret, struct error *err)
{
	int result = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (!*ret)
		return error_set(err, -ENOMEM, "out of memory");
	if (result != SQLITE_OK)
		return failed(*ret, path, result, err);
	/* What cannot be written is opened all the same. */
	if ((flags & SQLITE_OPEN_READWRITE) && sqlite3_db_readonly(*ret, "main"))
		return failed(*ret, path, SQLITE_READONLY, err);
	(void)sqlite3_busy_timeout(*ret, DB_BUSY_MS);
	(void)sqlite3_limit(*ret, SQLITE_LIMIT_LENGTH, DB_VALUE_SIZE_MAX);
	(void)sqlite3_limit(*ret, SQLITE_LIMIT_SQL_LENGTH, DB_VALUE_SIZE_MAX);
	(void)sqlite3_db_config(*ret, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

static int check_sound(sqlite3 *c, const char *path, struct error *err)
{
	char answer[200];
	int r = ask(c, path, "PRAGMA quick_check(1)", answer, err);
	if (r == 0 && strcmp(answer, "ok") != 0)
		return damaged(path, answer, err);
	return r;
}

static int read_version(const struct db *db, unsigned n_scripts, unsigned *ret, struct error *err)
{
	char answer[200];
	int r = ask(db->connection, db->path, "PRAGMA user_version", answer, err);
	if (r < 0)
		return r;
	long version = strtol(answer, NULL, 10);
	if (version < 0 || version > (long)n_scripts)
		return error_set(err, -EPROTONOSUPPORT,
				 "%s: has version %ld, this program knows those up to %u: use the newer program",
				 db->path, version, n_scripts);
	*ret = (unsigned)version;
	return 0;
}

/* What the journal and locks are like from now on. */
static int set_up(const struct db *db, struct error *err)
{
	char answer[200];
	int r = ask(db->connection, db->path, "PRAGMA journal_mode=WAL", answer, err);
	if (r == 0 && strcmp(answer, "wal") != 0)
		r = error_set(err, -EOPNOTSUPP, "%s: this file system has no shared memory, which the log needs",
			      db->path);
	if (r == 0)
		r = run(db->connection, db->path,
			"PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
			"PRAGMA cache_size=-2048; PRAGMA journal_size_limit=4194304",
			err);
	return r;
}

static int migrate(const struct db *db, const char *script, unsigned to_version, struct error *err)
{
	char end[64];
	(void)snprintf(end, sizeof(end), "PRAGMA user_version=%u; COMMIT", to_version);
	int r = run(db->connection, db->path, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = run(db->connection, db->path, script, err);
	if (r == 0)
		r = run(db->connection, db->path, end, err);
	/* Closing ends the transaction: the file is as before. */
	if (r < 0)
		error_append(err, " (on the way to version %u)", to_version);
	return r;
}

static int check_and_migrate(struct db *db, const char *const *scripts, unsigned n_scripts, struct error *err)
{
	/* Closing a file that is not sound must not write to it. */
	(void)sqlite3_db_config(db->connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	unsigned version = 0;
	int r = check_sound(db->connection, db->path, err);
	if (r == 0)
		r = read_version(db, n_scripts, &version, err);
	if (r == 0)
		r = set_up(db, err);
	for (; r == 0 && version < n_scripts; version++)
		r = migrate(db, scripts[version], version + 1, err);
	if (r == 0)
		(void)sqlite3_db_config(db->connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return r;
}

static void lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;
	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	(void)pthread_mutex_init(lock, &attr);
	(void)pthread_mutexattr_destroy(&attr);
}

int db_open(const char *path, const char *const *scripts, unsigned n_scripts, struct db **ret, struct error *err)
{
	_cleanup_(db_free)
	struct db *db = calloc(1, sizeof(*db));
	if (!db)
		return error_set(err, -ENOMEM, "out of memory");
	lock_init(&db->lock);
	int n = snprintf(db->path, sizeof(db->path), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(db->path))
		return error_set(err, -ENAMETOOLONG, "%s: name too long", path);
	_cleanup_(close_fd)
	int folder = open_folder_of(path, err);
	if (folder < 0)
		return folder;
	/* Those that open take turns: SQLite does not wait for who begins the log of a
	 * new file, and a version is brought up once. */
	while (flock(folder, LOCK_EX) < 0 && errno == EINTR)
		;
	int r = create_file(folder, path, err);
	if (r == 0)
		r = connect_to(path, SQLITE_OPEN_READWRITE, &db->connection, err);
	if (r == 0)
		r = check_and_migrate(db, scripts, n_scripts, err);
	if (r < 0)
		return r;
	*ret = take_ptr(db);
	return 0;
}

void db_free(struct db **db)
{
	struct db *d = *db;
	if (!d)
		return;
	for (unsigned i = 0; i < STATEMENTS_MAX; i++)
		(void)sqlite3_finalize(d->statement[i].stmt);
	(void)sqlite3_close(d->connection);
	(void)pthread_mutex_destroy(&d->lock);
	free(d);
	*db = NULL;
}

/* All pages within one read transaction of the source. */
static int copy_pages(sqlite3 *from, sqlite3 *to, const char *path, struct error *err)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	if (!b)
		return failed(to, path, sqlite3_errcode(to), err);
	int result = sqlite3_backup_step(b, -1);
	int finished = sqlite3_backup_finish(b);
	if (result == SQLITE_DONE)
		return finished == SQLITE_OK ? 0 : failed(to, path, finished, err);
	/* Busy and locked are not kept in the connection. */
	return error_set(err, errno_of(result), "%s: %s", path, sqlite3_errstr(result));
}

static void close_connection(sqlite3 **c)
{
	(void)sqlite3_close(*c);
}

/* `path` is an empty file. */
static int copy_to(const struct db *db, const char *path, struct error *err)
{
	char answer[200];
	_cleanup_(close_connection)
	sqlite3 *from = NULL, *to = NULL;
	int r = connect_to(db->path, SQLITE_OPEN_READONLY, &from, err);
	if (r == 0)
		r = connect_to(path, SQLITE_OPEN_READWRITE, &to, err);
	if (r == 0)
		r = copy_pages(from, to, path, err);
	if (r == 0)
		r = ask(to, path, "PRAGMA journal_mode=DELETE", answer, err);
	/* A copy of damage must not replace a copy that has none. */
	if (r == 0)
		r = check_sound(to, db->path, err);
	return r;
}

static int publish(int fd, const char *temporary, const char *path, struct error *err)
{
	_cleanup_(close_fd)
	int folder = open_folder_of(path, err);
	if (folder < 0)
		return folder;
	if (fsync(fd) < 0 || rename(temporary, path) < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return sync_folder(folder, path, err);
}

/* With what SQLite keeps beside it. */
static void remove_all(const char *path)
{
	static const char *const ends[] = { "", "-journal", "-wal", "-shm" };
	char name[PATH_MAX + 16];
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		(void)unlink(name);
	}
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;
	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int db_backup(struct db *db, const char *path, struct error *err)
{
	char temporary[PATH_MAX];
	if (is_same_file(db->path, path))
		return error_set(err, -EINVAL, "%s: is what is to be backed up: name another file", path);
	int n = snprintf(temporary, sizeof(temporary), "%s.tmp-XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return error_set(err, -ENAMETOOLONG, "%s: name too long", path);
	_cleanup_(close_fd)
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	int r = copy_to(db, temporary, err);
	if (r == 0)
		r = publish(fd, temporary, path, err);
	if (r < 0)
		remove_all(temporary);
	return r;
}

static bool is_of(const struct statement *s, const char *sql)
{
	return s->stmt && strcmp(sqlite3_sql(s->stmt), sql) == 0;
}

/* The statement if it is kept, else the slot that was not used for longest. */
static struct statement *find_statement(struct db *db, const char *sql)
{
	struct statement *oldest = &db->statement[0];
	for (unsigned i = 0; i < STATEMENTS_MAX; i++) {
		struct statement *s = &db->statement[i];
		if (is_of(s, sql))
			return s;
		if (s->used < oldest->used)
			oldest = s;
	}
	return oldest;
}

static int prepare(struct db *db, const char *sql, sqlite3_stmt **ret, struct error *err)
{
	struct statement *s = find_statement(db, sql);
	s->used = ++db->n_uses;
	if (!is_of(s, sql)) {
		(void)sqlite3_finalize(s->stmt);
		s->stmt = NULL;
		int result = sqlite3_prepare_v3(db->connection, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
		if (result != SQLITE_OK)
			return failed(db->connection, db->path, result, err);
	}
	*ret = s->stmt;
	return 0;
}

int db_query_init(struct db_query *q, struct db *db, const char *sql, struct error *err)
{
	*q = (struct db_query){ 0 };
	int locked = pthread_mutex_lock(&db->lock);
	assert(locked == 0);
	int r = prepare(db, sql, &q->stmt, err);
	if (r < 0)
		(void)pthread_mutex_unlock(&db->lock);
	else
		q->db = db;
	return r;
}

void db_query_done(struct db_query *q)
{
	if (!q->db)
		return;
	(void)sqlite3_reset(q->stmt);
	(void)sqlite3_clear_bindings(q->stmt);
	(void)pthread_mutex_unlock(&q->db->lock);
	*q = (struct db_query){ 0 };
}

static void bound(struct db_query *q, int result)
{
	if (q->result == SQLITE_OK)
		q->result = result;
}

void db_bind_int(struct db_query *q, int64_t v)
{
	bound(q, sqlite3_bind_int64(q->stmt, ++q->n_bound, v));
}

void db_bind_text(struct db_query *q, struct slice text)
{
	/* NULL would be bound as NULL. */
	const char *data = text.size ? (const char *)text.data : "";
	bound(q, sqlite3_bind_text64(q->stmt, ++q->n_bound, data, text.size, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_null(struct db_query *q)
{
	bound(q, sqlite3_bind_null(q->stmt, ++q->n_bound));
}

int db_step(struct db_query *q, struct error *err)
{
	int result = q->result == SQLITE_OK ? sqlite3_step(q->stmt) : q->result;
	if (result == SQLITE_ROW)
		return 1;
	return result == SQLITE_DONE ? 0 : failed(q->db->connection, q->db->path, result, err);
}

bool db_is_null(struct db_query *q, int column)
{
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

int64_t db_int(struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

struct slice db_text(struct db_query *q, int column)
{
	const uint8_t *text = sqlite3_column_text(q->stmt, column);
	return text ? slice_of(text, (size_t)sqlite3_column_bytes(q->stmt, column)) : slice_str("");
}

int64_t db_last_id(const struct db_query *q)
{
	return sqlite3_last_insert_rowid(q->db->connection);
}

int64_t db_n_changed(const struct db_query *q)
{
	return sqlite3_changes64(q->db->connection);
}
