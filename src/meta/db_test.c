/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "base/file.h"
#include "meta/db.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Each version keeps what the one before it knew. */
static const char *const scripts[] = {
	"CREATE TABLE word (text TEXT NOT NULL UNIQUE); INSERT INTO word VALUES ('one')",
	"ALTER TABLE word ADD COLUMN n INTEGER NOT NULL DEFAULT 7; INSERT INTO word VALUES ('two', 8)",
	"CREATE TABLE sum (n INTEGER); INSERT INTO sum SELECT sum(n) FROM word",
};
#define N_SCRIPTS ((unsigned)ARRAY_SIZE(scripts))

static struct db *open_with(const char *path, const char *const *with, unsigned n)
{
	struct db *db = NULL;
	struct error err = { "" };
	if (db_open(path, with, n, &db, &err) < 0)
		fail_msg("%s", err.text);
	return db;
}

static int64_t number(struct db *db, const char *sql)
{
	_cleanup_(db_query_done)
	struct db_query q;
	struct error err = { "" };
	if (db_query_init(&q, db, sql, &err) < 0 || db_step(&q, &err) != 1)
		fail_msg("%s: %s", sql, err.text);
	return db_int(&q, 0);
}

static int add_word(struct db *db, struct slice word, struct error *err)
{
	_cleanup_(db_query_done)
	struct db_query q;
	int r = db_query_init(&q, db, "INSERT INTO word (text) VALUES (?1)", err);
	if (r < 0)
		return r;
	db_bind_text(&q, word);
	return db_step(&q, err);
}

static struct buf content_of(const char *path)
{
	struct buf b = buf_of(64 << 20);
	assert_int_equal(file_read(path, &b, NULL), 0);
	return b;
}

static void assert_content(const char *path, const struct buf *expected)
{
	_cleanup_(buf_done)
	struct buf b = content_of(path);
	assert_int_equal(b.n, expected->n);
	assert_memory_equal(b.data, expected->data, b.n);
}

/* An update of the program must not cost what was stored before it. */
static void every_older_version_is_brought_up(void **state)
{
	(void)state;
	for (unsigned old = 0; old <= N_SCRIPTS; old++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "old-%u.db", old);
		struct db *db = open_with(in_scratch(name), scripts, old);
		if (old)
			assert_int_equal(add_word(db, slice_str("kept"), NULL), 0);
		assert_int_equal(number(db, "PRAGMA user_version"), old);
		db_free(&db);
		db = open_with(in_scratch(name), scripts, N_SCRIPTS);
		assert_int_equal(number(db, "PRAGMA user_version"), N_SCRIPTS);
		assert_int_equal(number(db, "SELECT count(*) FROM word WHERE text = 'kept'"), old != 0);
		assert_int_equal(number(db, "SELECT count(*) FROM word WHERE text <> 'kept'"), 2);
		/* The third script ran once, over the rows of then. */
		assert_int_equal(number(db, "SELECT n FROM sum"), old == 1 || old == 2 ? 22 : 15);
		assert_int_equal(number(db, "SELECT count(*) FROM sum"), 1);
		db_free(&db);
	}
}

static void settings_are_kept(void **state)
{
	(void)state;
	struct stat st;
	struct db *db = open_with(in_scratch("new.db"), scripts, N_SCRIPTS);
	_cleanup_(db_query_done)
	struct db_query q;
	assert_int_equal(number(db, "PRAGMA synchronous"), 2);
	assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(db_query_init(&q, db, "PRAGMA journal_mode", NULL), 0);
	assert_int_equal(db_step(&q, NULL), 1);
	assert_true(slice_eq(db_text(&q, 0), slice_str("wal")));
	db_query_done(&q);
	/* Neither the file nor its log is for others. */
	assert_int_equal(add_word(db, slice_str("secret"), NULL), 0);
	assert_int_equal(stat(in_scratch("new.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_scratch("new.db-wal"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	db_free(&db);
}

static void newer_versions_are_refused(void **state)
{
	(void)state;
	struct error err = { "" };
	struct db *db = open_with(in_scratch("newer.db"), scripts, N_SCRIPTS), *none = NULL;
	db_free(&db);
	_cleanup_(buf_done)
	struct buf before = content_of(in_scratch("newer.db"));
	assert_int_equal(db_open(in_scratch("newer.db"), scripts, 2, &none, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "newer.db: has version 3, this program knows those up to 2: use the newer "
					 "program"));
	assert_null(none);
	assert_content(in_scratch("newer.db"), &before);
}

static void failed_scripts_change_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"CREATE TABLE word (text TEXT NOT NULL UNIQUE); INSERT INTO word VALUES ('one')",
		"CREATE TABLE half (x); DELETE FROM word; INSERT INTO absent VALUES (1)",
	};
	struct error err = { "" };
	struct db *db = open_with(in_scratch("half.db"), bad, 1), *none = NULL;
	db_free(&db);
	assert_int_equal(db_open(in_scratch("half.db"), bad, 2, &none, &err), -EIO);
	assert_non_null(strstr(err.text, "half.db: no such table: absent (on the way to version 2)"));
	assert_null(none);
	db = open_with(in_scratch("half.db"), bad, 1);
	assert_int_equal(number(db, "SELECT count(*) FROM word"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
	db_free(&db);
}

static int middle_reached;

/* SQL that tells the parent where we are and never returns. */
static void wait_for_the_kill(sqlite3_context *c, int n, sqlite3_value **values)
{
	if (write(middle_reached, "x", 1) == 1)
		for (;;)
			(void)pause();
}

static int add_wait(sqlite3 *c, const char **error, const void *api)
{
	return sqlite3_create_function(c, "wait_for_the_kill", 0, SQLITE_UTF8, NULL, wait_for_the_kill, NULL, NULL);
}

/* More than the cache holds, so that parts of it are in the log already. */
static const char half_done[] = "CREATE TABLE large AS WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i"
				" WHERE n < 6000) SELECT n, randomblob(1000) AS x FROM i;"
				"DELETE FROM word; SELECT wait_for_the_kill();";

static void kill_in_the_middle(const char *path)
{
	const char *const with[] = { scripts[0], half_done };
	int fds[2], status;
	char byte;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct db *db;
		middle_reached = fds[1];
		(void)sqlite3_auto_extension((void (*)(void))add_wait);
		_exit(db_open(path, with, 2, &db, NULL) == 0);
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	(void)close(fds[0]);
}

/* A machine that goes down during an update must not leave half of it. */
static void a_kill_in_a_migration_changes_nothing(void **state)
{
	(void)state;
	char path[256];
	struct stat st;
	(void)snprintf(path, sizeof(path), "%s", in_scratch("killed.db"));
	struct db *db = open_with(path, scripts, 1);
	assert_int_equal(add_word(db, slice_str("kept"), NULL), 0);
	db_free(&db);
	kill_in_the_middle(path);
	assert_int_equal(stat(in_scratch("killed.db-wal"), &st), 0);
	assert_true(st.st_size > 1 << 20);
	db = open_with(path, scripts, 1);
	assert_int_equal(number(db, "SELECT count(*) FROM word"), 2);
	assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'large'"), 0);
	db_free(&db);
	db = open_with(path, scripts, N_SCRIPTS);
	assert_int_equal(number(db, "SELECT n FROM sum"), 22);
	db_free(&db);
}

/* Server and command line may start at the same time. */
static void versions_are_brought_up_once(void **state)
{
	(void)state;
	enum { N = 6 };
	char path[256];
	for (int round = 0; round < 10; round++) {
		pid_t pid[N];
		int status;
		(void)snprintf(path, sizeof(path), "%s/together-%d.db", scratch, round);
		for (int i = 0; i < N; i++) {
			pid[i] = fork();
			if (pid[i] == 0) {
				struct db *db = NULL;
				struct error err = { "" };
				int r = db_open(path, scripts, N_SCRIPTS, &db, &err);
				if (r < 0)
					(void)fprintf(stderr, "%s\n", err.text);
				db_free(&db);
				_exit(r < 0);
			}
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
			assert_int_equal(status, 0);
		}
		struct db *db = open_with(path, scripts, N_SCRIPTS);
		assert_int_equal(number(db, "SELECT count(*) FROM sum"), 1);
		assert_int_equal(number(db, "SELECT count(*) FROM word"), 2);
		db_free(&db);
	}
}

/* What a step answered for is there after a kill. */
static void what_was_done_stays_done(void **state)
{
	(void)state;
	int status;
	char path[256];
	(void)snprintf(path, sizeof(path), "%s", in_scratch("done.db"));
	pid_t pid = fork();
	if (pid == 0) {
		struct db *db = NULL;
		if (db_open(path, scripts, 1, &db, NULL) == 0 && add_word(db, slice_str("done"), NULL) == 0)
			(void)raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	struct db *db = open_with(path, scripts, 1);
	assert_int_equal(number(db, "SELECT count(*) FROM word WHERE text = 'done'"), 1);
	db_free(&db);
}

static const char *const large[] = {
	"CREATE TABLE word (text TEXT NOT NULL UNIQUE); WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i "
	"WHERE n < 4000) INSERT INTO word SELECT printf('%0500d', n) FROM i",
};

static void overwrite(const char *path, off_t at, size_t size)
{
	static uint8_t garbage[4096];
	_cleanup_(close_fd)
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	memset(garbage, 0xa5, sizeof(garbage));
	assert_int_equal(pwrite(fd, garbage, size, at), size);
}

/* Damage is said, with what to do, and not made worse. */
static void damaged_files_are_left_alone(void **state)
{
	(void)state;
	static const struct {
		off_t at;
		size_t size;
		const char *how;
	} rows[] = {
		{ 0, 16,
		  "damaged (file is not a database); it was left as it is: put a backup in its place, or move it "
		  "and its -wal and -shm files away to begin without" },
		{ 4096 * 20, 4096, "damaged (" },
		{ 4096 * 300, 100, "damaged (" },
	};
	char path[256];
	(void)snprintf(path, sizeof(path), "%s", in_scratch("damaged.db"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = { "" };
		struct db *db = open_with(path, large, 1), *none = NULL;
		db_free(&db);
		overwrite(path, rows[i].at, rows[i].size);
		_cleanup_(buf_done)
		struct buf before = content_of(path);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(db_open(path, large, 1, &none, &err), -EBADMSG);
			assert_non_null(strstr(err.text, rows[i].how));
			assert_memory_equal(err.text, path, strlen(path));
			assert_null(strchr(err.text, '\n'));
			assert_null(none);
			assert_content(path, &before);
		}
		assert_int_equal(unlink(path), 0);
		(void)unlink(in_scratch("damaged.db-wal"));
		(void)unlink(in_scratch("damaged.db-shm"));
	}
}

/* A damaged file with a log of what came last: the log is left, too. */
static void the_log_of_a_damaged_file_stays(void **state)
{
	(void)state;
	char path[256], wal[300];
	int status;
	struct db *none = NULL;
	(void)snprintf(path, sizeof(path), "%s", in_scratch("logged.db"));
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	struct db *db = open_with(path, large, 1);
	db_free(&db);
	pid_t pid = fork();
	if (pid == 0) {
		if (db_open(path, large, 1, &db, NULL) == 0 && add_word(db, slice_str("last"), NULL) == 0)
			(void)raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	overwrite(path, 4096 * 300, 4096);
	_cleanup_(buf_done)
	struct buf file = content_of(path), log = content_of(wal);
	assert_true(log.n > 4096);
	assert_int_equal(db_open(path, large, 1, &none, NULL), -EBADMSG);
	assert_content(path, &file);
	assert_content(wal, &log);
}

/* As a user who may not write there: the error and its text. */
static int open_as_nobody(const char *path, char text[static 512])
{
	int fds[2], status;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct db *db = NULL;
		struct error err = { "" };
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(255);
		int r = db_open(path, scripts, 1, &db, &err);
		_exit(write(fds[1], err.text, sizeof(err.text)) == sizeof(err.text) ? -r : 254);
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], text, 512), 512);
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void what_cannot_be_written_is_refused(void **state)
{
	(void)state;
	char folder[256], path[300], text[512], expected[600];
	if (geteuid() != 0)
		skip_because("becoming a user who may not write needs root");
	(void)snprintf(folder, sizeof(folder), "%s", in_scratch("read-only"));
	(void)snprintf(path, sizeof(path), "%s/x.db", folder);
	assert_int_equal(chmod(scratch, 0755), 0);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(open_as_nobody(path, text), -EACCES);
	(void)snprintf(expected, sizeof(expected), "%s: Permission denied", path);
	assert_string_equal(text, expected);
	/* One that may only be read. */
	struct db *db = open_with(path, scripts, 1);
	db_free(&db);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(open_as_nobody(path, text), -EROFS);
	(void)snprintf(expected, sizeof(expected),
		       "%s: attempt to write a readonly database: the file and its folder must be writable", path);
	assert_string_equal(text, expected);
	/* One that may be written in a folder that may not. */
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(open_as_nobody(path, text), -EROFS);
	assert_string_equal(text, expected);
	/* One that may only be read, where its log could be written. */
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	assert_int_equal(open_as_nobody(path, text), -EROFS);
	assert_string_equal(text, expected);
}

static void values_come_back_as_they_were(void **state)
{
	(void)state;
	static const int64_t numbers[] = { INT64_MIN, -1, 0, INT64_MAX };
	static const struct slice texts[] = { { (const uint8_t *)"", 0 },
					      { (const uint8_t *)"a\0b", 3 },
					      { (const uint8_t *)"\xff\xc3", 2 },
					      { (const uint8_t *)"'); DROP TABLE word; --", 23 } };
	struct db *db = open_with(in_scratch("values.db"), scripts, 1);
	for (size_t i = 0; i < 4; i++) {
		_cleanup_(db_query_done)
		struct db_query q;
		assert_int_equal(db_query_init(&q, db, "SELECT ?1, ?2, ?3", NULL), 0);
		db_bind_int(&q, numbers[i]);
		db_bind_text(&q, texts[i]);
		db_bind_null(&q);
		assert_int_equal(db_step(&q, NULL), 1);
		assert_int_equal(db_int(&q, 0), numbers[i]);
		assert_true(slice_eq(db_text(&q, 1), texts[i]));
		assert_false(db_is_null(&q, 1));
		assert_true(db_is_null(&q, 2));
		assert_int_equal(db_text(&q, 2).size, 0);
		assert_int_equal(db_step(&q, NULL), 0);
	}
	/* A kept statement has forgotten the values. */
	_cleanup_(db_query_done)
	struct db_query again;
	assert_int_equal(db_query_init(&again, db, "SELECT ?1, ?2, ?3", NULL), 0);
	assert_int_equal(db_step(&again, NULL), 1);
	assert_true(db_is_null(&again, 0) && db_is_null(&again, 1));
	db_query_done(&again);
	db_free(&db);
}

static void failures_have_a_code_and_a_reason(void **state)
{
	(void)state;
	static uint8_t longest[DB_VALUE_SIZE_MAX + 1];
	struct error err = { "" };
	struct db *db = open_with(in_scratch("failures.db"), scripts, 1);
	assert_int_equal(add_word(db, slice_str("one"), &err), -EEXIST);
	assert_non_null(strstr(err.text, "failures.db: UNIQUE constraint failed: word.text"));
	assert_int_equal(add_word(db, slice_of(longest, sizeof(longest)), &err), -E2BIG);
	assert_non_null(strstr(err.text, "failures.db: string or blob too big"));
	struct db_query q;
	assert_int_equal(db_query_init(&q, db, "SELECT absent FROM word", &err), -EIO);
	assert_non_null(strstr(err.text, "failures.db: no such column: absent"));
	db_query_done(&q);
	/* A parameter too many is not left out in silence. */
	assert_int_equal(db_query_init(&q, db, "SELECT ?1", &err), 0);
	db_bind_int(&q, 1);
	db_bind_int(&q, 2);
	assert_int_equal(db_step(&q, &err), -EIO);
	db_query_done(&q);
	/* None of them holds the lock or the statement. */
	assert_int_equal(add_word(db, slice_str("last"), NULL), 0);
	assert_int_equal(number(db, "SELECT count(*) FROM word"), 2);
	db_free(&db);
}

/* More statements than are kept, each more than once. */
static void statements_give_way(void **state)
{
	(void)state;
	static char sql[100][64];
	struct db *db = open_with(in_scratch("statements.db"), scripts, 1);
	for (int i = 0; i < 100; i++)
		(void)snprintf(sql[i], sizeof(sql[i]), "SELECT %d + n FROM (SELECT 1 AS n)", i);
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 100; i++)
			for (int k = i > 20 ? i - 20 : 0; k <= i; k++)
				assert_int_equal(number(db, sql[k]), k + 1);
	db_free(&db);
}

static void others_are_waited_for_and_named(void **state)
{
	(void)state;
	char path[256];
	struct error err = { "" };
	sqlite3 *other = NULL;
	(void)snprintf(path, sizeof(path), "%s", in_scratch("busy.db"));
	struct db *db = open_with(path, scripts, 1);
	assert_int_equal(sqlite3_open_v2(path, &other, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(add_word(db, slice_str("late"), &err), -EBUSY);
	assert_non_null(strstr(err.text, "busy.db: database is locked: another program holds it"));
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(add_word(db, slice_str("late"), NULL), 0);
	(void)sqlite3_close(other);
	db_free(&db);
}

struct writer {
	pthread_t thread;
	struct db *db;
	_Atomic bool *stop;
	int number, n;
};

static void *write_words(void *arg)
{
	struct writer *w = arg;
	do {
		char word[32];
		int n = snprintf(word, sizeof(word), "%d-%d", w->number, w->n);
		if (add_word(w->db, slice_of(word, (size_t)n), NULL) < 0)
			return NULL;
		w->n++;
	} while (!*w->stop);
	return w;
}

static size_t n_files(const char *pattern)
{
	glob_t found;
	size_t n = glob(in_scratch(pattern), 0, NULL, &found) == 0 ? found.gl_pathc : 0;
	globfree(&found);
	return n;
}

/* Of each writer the first words in order, none left out. */
static int64_t assert_one_moment(const char *path, int n_writers)
{
	int64_t sum = 0;
	struct db *copy = open_with(path, large, 1);
	for (int i = 0; i < n_writers; i++) {
		char rows[96], last[96];
		(void)snprintf(rows, sizeof(rows), "SELECT count(*) FROM word WHERE text LIKE '%d-%%'", i);
		(void)snprintf(last, sizeof(last),
			       "SELECT ifnull(max(CAST(substr(text, 3) AS INTEGER)) + 1, 0) FROM word WHERE text LIKE "
			       "'%d-%%'",
			       i);
		int64_t n = number(copy, rows);
		assert_int_equal(number(copy, last), n);
		sum += n;
	}
	assert_int_equal(number(copy, "SELECT count(*) FROM word"), 4000 + sum);
	db_free(&copy);
	return sum;
}

/* A backup that cannot be restored is found out when it is too late. */
static void backups_hold_one_moment(void **state)
{
	(void)state;
	enum { N = 3 };
	char path[256], copy[256];
	struct writer writers[N];
	_Atomic bool stop = false;
	struct error err = { "" };
	struct stat st;
	(void)snprintf(path, sizeof(path), "%s", in_scratch("source.db"));
	(void)snprintf(copy, sizeof(copy), "%s", in_scratch("backup.db"));
	struct db *db = open_with(path, large, 1);
	for (int i = 0; i < N; i++) {
		writers[i] = (struct writer){ .db = db, .stop = &stop, .number = i };
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_words, &writers[i]), 0);
	}
	int64_t before = 0, n_backups = 0;
	while (n_backups < 5) {
		int64_t at_least = number(db, "SELECT count(*) FROM word") - 4000;
		if (db_backup(db, copy, &err) < 0)
			fail_msg("%s", err.text);
		/* The copy stands alone (version 1: no log is part of it) and is for its owner. */
		_cleanup_(buf_done)
		struct buf bytes = content_of(copy);
		assert_int_equal(bytes.data[18], 1);
		assert_int_equal(n_files("backup.db*"), 1);
		assert_int_equal(stat(copy, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		int64_t sum = assert_one_moment(copy, N);
		assert_true(sum >= at_least && sum >= before);
		before = sum;
		n_backups++;
	}
	stop = true;
	int64_t written = 0;
	for (int i = 0; i < N; i++) {
		void *ok = NULL;
		(void)pthread_join(writers[i].thread, &ok);
		assert_non_null(ok);
		written += writers[i].n;
	}
	assert_int_equal(number(db, "SELECT count(*) FROM word"), 4000 + written);
	db_free(&db);
}

static void failed_backups_replace_nothing(void **state)
{
	(void)state;
	char path[256], copy[256];
	struct error err = { "" };
	(void)snprintf(path, sizeof(path), "%s", in_scratch("source-2.db"));
	(void)snprintf(copy, sizeof(copy), "%s", in_scratch("good.db"));
	struct db *db = open_with(path, large, 1);
	assert_int_equal(db_backup(db, in_scratch("absent/backup.db"), &err), -ENOENT);
	assert_non_null(strstr(err.text, "absent/backup.db: No such file or directory"));
	assert_int_equal(symlink(path, in_scratch("link.db")), 0);
	assert_int_equal(db_backup(db, in_scratch("link.db"), &err), -EINVAL);
	assert_non_null(strstr(err.text, "link.db: is what is to be backed up: name another file"));
	assert_int_equal(db_backup(db, copy, NULL), 0);
	_cleanup_(buf_done)
	struct buf good = content_of(copy);
	db_free(&db);
	/* The disk breaks while the file is open. */
	db = open_with(path, large, 1);
	overwrite(path, 4096 * 300, 4096);
	assert_int_equal(db_backup(db, copy, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "source-2.db: damaged ("));
	assert_content(copy, &good);
	assert_int_equal(n_files("good.db*"), 1);
	db_free(&db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_older_version_is_brought_up),
		cmocka_unit_test(settings_are_kept),
		cmocka_unit_test(newer_versions_are_refused),
		cmocka_unit_test(failed_scripts_change_nothing),
		cmocka_unit_test(a_kill_in_a_migration_changes_nothing),
		cmocka_unit_test(versions_are_brought_up_once),
		cmocka_unit_test(what_was_done_stays_done),
		cmocka_unit_test(damaged_files_are_left_alone),
		cmocka_unit_test(the_log_of_a_damaged_file_stays),
		cmocka_unit_test(what_cannot_be_written_is_refused),
		cmocka_unit_test(values_come_back_as_they_were),
		cmocka_unit_test(failures_have_a_code_and_a_reason),
		cmocka_unit_test(statements_give_way),
		cmocka_unit_test(others_are_waited_for_and_named),
		cmocka_unit_test(backups_hold_one_moment),
		cmocka_unit_test(failed_backups_replace_nothing),
	};
	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
