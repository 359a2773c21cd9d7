/* SPDX-License-Identifier: Apache-2.0 */
/* What waits on disk comes back whole and in order, or is counted. */
#include "agent/spool.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define BLOCK 4096

static char folder[] = "/tmp/wick-spool-test-XXXXXX";

static int make_folder(void **state)
{
	(void)strcpy(folder + strlen(folder) - 6, "XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	return rmdir(folder);
}

static struct spool *open_it(uint64_t limit)
{
	struct spool *s = NULL;
	struct error err;
	if (spool_open(folder, limit, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

/* One whose key, data and samples say `n`. */
static int put(struct spool *s, unsigned n, int64_t start_ms, size_t size, struct error *err)
{
	char key[32], target[32];
	uint8_t *data = malloc(size);
	assert_non_null(data);
	memset(data, (int)n, size);
	(void)snprintf(key, sizeof(key), "key-%u", n);
	(void)snprintf(target, sizeof(target), "/target?n=%u", n);
	_cleanup_(parcel_free)
	struct parcel *p = parcel_new(slice_str(key), slice_str(target), data, size);
	assert_non_null(p);
	p->n_samples = n;
	p->start_ms = start_ms;
	return spool_put(s, p, err);
}

/* The number of the oldest, which is sent; 0: there is none. */
static unsigned take(struct spool *s)
{
	_cleanup_(parcel_free)
	struct parcel *p = spool_take(s);
	if (!p)
		return 0;
	char key[32], target[32];
	unsigned n = (unsigned)p->n_samples;
	(void)snprintf(key, sizeof(key), "key-%u", n);
	(void)snprintf(target, sizeof(target), "/target?n=%u", n);
	assert_string_equal(p->key, key);
	assert_string_equal(p->target, target);
	for (size_t i = 0; i < p->size; i++)
		assert_int_equal(p->data[i], (uint8_t)n);
	spool_end(s, true);
	return n;
}

static void everything_comes_back_in_order(void **state)
{
	struct error err;
	struct spool *s = open_it(1 << 20);
	assert_int_equal(take(s), 0);
	for (unsigned n = 1; n <= 40; n++)
		assert_int_equal(put(s, n, 1000 + n / 7, n * 100, &err), 0);
	/* One that could not be sent is the next again. */
	struct parcel *p = spool_take(s);
	assert_int_equal(p->n_samples, 1);
	assert_null(spool_take(s));
	spool_end(s, false);
	parcel_free(&p);
	for (unsigned n = 1; n <= 10; n++)
		assert_int_equal(take(s), n);
	/* Taken and not ended: the program was killed. */
	p = spool_take(s);
	assert_int_equal(p->n_samples, 11);
	parcel_free(&p);
	spool_free(&s);

	s = open_it(1 << 20);
	assert_int_equal(spool_stats(s).n_files, 30);
	assert_int_equal(put(s, 41, 1005, 10, &err), 0);
	for (unsigned n = 11; n <= 41; n++)
		assert_int_equal(take(s), n);
	assert_int_equal(take(s), 0);
	struct spool_stats stats = spool_stats(s);
	assert_int_equal(stats.n_files, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.n_samples_lost, 0);
	spool_free(&s);
}

static void the_oldest_make_room(void **state)
{
	struct error err;
	struct spool *s = open_it(4 * BLOCK);
	for (unsigned n = 1; n <= 4; n++)
		assert_int_equal(put(s, n, n, 100, &err), 0);
	struct parcel *p = spool_take(s);
	assert_int_equal(p->n_samples, 1);
	/* Two blocks: the two behind the one that is being sent. */
	assert_int_equal(put(s, 5, 5, BLOCK, &err), 0);
	struct spool_stats stats = spool_stats(s);
	assert_int_equal(stats.bytes, 4 * BLOCK);
	assert_int_equal(stats.n_dropped, 2);
	assert_int_equal(stats.n_samples_lost, 2 + 3);
	spool_end(s, false);
	parcel_free(&p);
	assert_int_equal(take(s), 1);
	assert_int_equal(take(s), 4);
	assert_int_equal(take(s), 5);
	/* What never fits costs nobody else. */
	assert_int_equal(put(s, 6, 6, 100, &err), 0);
	assert_int_equal(put(s, 7, 7, 4 * BLOCK, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than the limit of 16384"));
	assert_int_equal(take(s), 6);
	spool_free(&s);
	/* A smaller limit holds for what is there, too. */
	s = open_it(1 << 20);
	for (unsigned n = 1; n <= 4; n++)
		assert_int_equal(put(s, n, n, 100, &err), 0);
	spool_free(&s);
	s = open_it(2 * BLOCK);
	assert_int_equal(spool_stats(s).n_samples_lost, 1 + 2);
	assert_int_equal(take(s), 3);
	spool_free(&s);
}

/* Of every file every end and every bit: it is whole, or counted and gone. */
static void torn_files_are_counted(void **state)
{
	struct error err;
	char path[600] = "", name[256] = "";
	struct spool *s = open_it(1 << 20);
	assert_int_equal(put(s, 7, 1000, 20, &err), 0);
	spool_free(&s);
	DIR *d = opendir(folder);
	for (struct dirent *e; (e = readdir(d));)
		if (strstr(e->d_name, ".parcel"))
			(void)snprintf(name, sizeof(name), "%s", e->d_name);
	(void)closedir(d);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	uint8_t whole[512], bytes[512];
	int fd = open(path, O_RDONLY);
	ssize_t size = read(fd, whole, sizeof(whole));
	(void)close(fd);
	assert_true(size > 56 + 20 && size < 512);
	for (ssize_t i = 0; i < size * 9; i++) {
		ssize_t n = i < size ? i : size;
		memcpy(bytes, whole, (size_t)size);
		if (i >= size)
			bytes[(i - size) / 8] ^= (uint8_t)(1 << (i - size) % 8);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_int_equal(write(fd, bytes, (size_t)n), n);
		(void)close(fd);
		s = open_it(1 << 20);
		assert_int_equal(put(s, 8, 2000, 20, &err), 0);
		assert_int_equal(take(s), 8);
		struct spool_stats stats = spool_stats(s);
		assert_int_equal(stats.n_torn, 1);
		assert_int_equal(stats.n_files, 0);
		/* Where the head is whole, it says how much it cost. */
		bool head_is_whole = i < size ? n >= 56 : (i - size) / 8 >= 56;
		assert_int_equal(stats.n_samples_lost, head_is_whole ? 7 : 0);
		assert_int_equal(access(path, F_OK), -1);
		spool_free(&s);
	}
	/* Cut while it was written, and things that are none of ours. */
	(void)snprintf(path, sizeof(path), "%s/.new", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, whole, 60), 60);
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "%s/notes.txt", folder);
	(void)close(open(path, O_WRONLY | O_CREAT, 0600));
	s = open_it(1 << 20);
	assert_int_equal(spool_stats(s).n_torn, 1);
	assert_int_equal(spool_stats(s).n_samples_lost, 7);
	assert_int_equal(spool_stats(s).n_files, 0);
	assert_int_equal(access(path, F_OK), 0);
	spool_free(&s);
}

/* The disk says no in the middle of a file. */
static void a_disk_without_room_is_said(void **state)
{
	struct error err;
	struct rlimit was, small;
	struct spool *s = open_it(1 << 20);
	assert_int_equal(put(s, 1, 1, 100, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	for (rlim_t room = 0; room < 200; room += 40) {
		small = (struct rlimit){ room, was.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		int r = put(s, 2, 2, 1000, &err);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
		assert_int_equal(r, -EFBIG);
		assert_non_null(strstr(err.text, folder));
	}
	assert_int_equal(spool_stats(s).n_failed, 5);
	assert_int_equal(spool_stats(s).n_files, 1);
	assert_int_equal(put(s, 3, 3, 100, &err), 0);
	assert_int_equal(take(s), 1);
	assert_int_equal(take(s), 3);
	assert_int_equal(spool_stats(s).n_torn, 0);
	spool_free(&s);
}

static void folders_that_cannot_be_used_say_why(void **state)
{
	struct error err;
	struct spool *s = NULL, *other = NULL;
	char path[300];
	(void)snprintf(path, sizeof(path), "%s/file", folder);
	(void)close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(spool_open(path, 1 << 20, &s, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, path));
	/* Two agents would send each other's. */
	s = open_it(1 << 20);
	assert_int_equal(spool_open(folder, 1 << 20, &other, &err), -EBUSY);
	assert_non_null(strstr(err.text, "--spool"));
	spool_free(&s);
	(void)snprintf(path, sizeof(path), "/proc/self/wick/spool");
	assert_int_equal(spool_open(path, 1 << 20, &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/proc/self/wick/spool cannot be made"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(everything_comes_back_in_order),
		CASE(the_oldest_make_room),
		CASE(torn_files_are_counted),
		CASE(a_disk_without_room_is_said),
		CASE(folders_that_cannot_be_used_say_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
