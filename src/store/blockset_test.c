/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/blockset.h"
#include "store/testblock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#define START_MS INT64_C(1700000000000)
#define CACHE	 ((size_t)4 << 20)

/* Linked with --wrap: the n-th call from now on fails with EIO; 0 = none. */
static int fail_rename, fail_fsync;

int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static bool is_next(int *countdown)
{
	if (*countdown == 0 || --*countdown > 0)
		return false;
	errno = EIO;
	return true;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return is_next(&fail_rename) ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_fsync(int fd)
{
	return is_next(&fail_fsync) ? -1 : __real_fsync(fd);
}

struct fixture {
	char dir[64];
	struct blockset *set;
	struct blockset_report report;
	struct error err;
};

static int open_set(struct fixture *f, size_t cache)
{
	f->err.text[0] = 0;
	return blockset_open(f->dir, cache, NULL, &f->set, &f->report, &f->err);
}

static void reopen(struct fixture *f)
{
	blockset_close(&f->set);
	if (open_set(f, CACHE) < 0 || (f->report.is_rebuilt && blockset_settle(f->set, NULL, 0, &f->err) < 0))
		fail_msg("%s", f->err.text);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/wick-blockset-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	fail_rename = fail_fsync = 0;
	reopen(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[80];
	blockset_close(&f->set);
	(void)snprintf(command, sizeof(command), "rm -r '%s'", f->dir);
	int r = system(command);
	free(f);
	return r;
}

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[512];
	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static const char *file_of(const struct fixture *f, const struct block_id *id)
{
	char name[BLOCK_ID_HEX + 4];
	block_file_name(id, name);
	return path_of(f, name);
}

static unsigned n_files(const struct fixture *f)
{
	unsigned n = 0;
	DIR *d = opendir(f->dir);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.' && strcmp(e->d_name, "manifest") != 0;
	(void)closedir(d);
	return n;
}

/* A file to be published, with n profiles. */
static void make_block(struct fixture *f, unsigned n, struct block_meta *ret)
{
	static uint32_t seed;
	struct head h;
	struct error err = { "" };
	struct membudget budget = membudget_of(64 << 20);
	struct build_options o = { .to_ms = INTAKE_TIME_MAX_MS, .is_all = true, .zstd_level = 1, .budget = &budget };
	struct build_report report;
	assert_int_equal(head_init(&h, 16 << 20, 1000), 0);
	testblock_fill(&h, ++seed, n, START_MS, 10000);
	const struct part *part = &h.part;
	*ret = (struct block_meta){ .n_profiles = n,
				    .arrived_from_ms = h.arrived_from_ms,
				    .arrived_to_ms = h.arrived_to_ms };
	assert_int_equal(block_id_random(&ret->id), 0);
	int fd = blockset_create(f->set, &ret->id, &err);
	assert_true(fd >= 0);
	o.keys = h.keys.data;
	o.n_keys = h.keys.n;
	if (block_build(&part, 1, &o, fd, ret, &report, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(close(fd), 0);
	head_done(&h);
}

static int publish(struct fixture *f, const struct block_meta *added, uint32_t n, struct block *const *removed,
		   uint32_t n_removed, uint64_t last_seq)
{
	struct blockset_pending pending;
	const struct blockset_change c = {
		.added = added,
		.n_added = n,
		.removed = removed,
		.n_removed = n_removed,
		.last_seq = last_seq,
	};
	int r = blockset_publish(f->set, &c, &pending, &f->err);
	if (r == 0)
		blockset_swap(f->set, &pending);
	for (uint32_t i = 0; r < 0 && i < n; i++)
		blockset_discard(f->set, &added[i].id);
	return r;
}

static void add_block(struct fixture *f, unsigned n, struct block_meta *ret)
{
	make_block(f, n, ret);
	assert_int_equal(publish(f, ret, 1, NULL, 0, 0), 0);
}

static uint32_t n_blocks(struct fixture *f, uint64_t *ret_profiles)
{
	struct blockset_stats stats;
	blockset_get_stats(f->set, &stats);
	if (ret_profiles)
		*ret_profiles = stats.n_profiles;
	return stats.n_blocks;
}

static struct block *find(struct block **list, uint32_t n, const struct block_id *id)
{
	for (uint32_t i = 0; i < n; i++)
		if (block_id_eq(&list[i]->id, id))
			return list[i];
	return NULL;
}

static void what_is_published_is_there_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta[2];
	uint64_t profiles;
	for (int i = 0; i < 2; i++)
		make_block(f, 10, &meta[i]);
	assert_int_equal(n_blocks(f, NULL), 0);
	assert_int_equal(publish(f, meta, 2, NULL, 0, 77), 0);
	uint64_t seed = blockset_key_seed(f->set);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(n_blocks(f, &profiles), 2);
		assert_int_equal(profiles, 20);
		assert_int_equal(blockset_last_seq(f->set), 77);
		assert_true(blockset_key_seed(f->set) == seed);
		reopen(f);
		assert_true(f->report.n_orphans + f->report.n_damaged + f->report.n_missing == 0 &&
			    !f->report.is_rebuilt);
	}
	assert_int_equal(n_files(f), 2);
}

/* Its name while it is written, or still read; or the one it is published with. */
static void to_temporary(const struct fixture *f, const struct block_id *id, bool to)
{
	char tmp[512];
	const char *name = file_of(f, id);
	(void)snprintf(tmp, sizeof(tmp), "%s", name);
	memcpy(tmp + strlen(tmp) - 4, ".tmp", 5);
	assert_int_equal(to ? rename(name, tmp) : rename(tmp, name), 0);
}

static void files_that_were_never_published_are_removed(void **state)
{
	struct fixture *f = *state;
	struct block_meta kept, lost, renamed;
	add_block(f, 5, &kept);
	make_block(f, 5, &lost);
	make_block(f, 5, &renamed);
	to_temporary(f, &renamed.id, false);
	assert_int_equal(n_files(f), 3);
	reopen(f);
	assert_int_equal(f->report.n_orphans, 2);
	assert_int_equal(n_files(f), 1);
	assert_int_equal(n_blocks(f, NULL), 1);
}

/* Every call that may fail does, one after the other. */
static void a_change_is_on_disk_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct block_meta old, meta[2];
	unsigned n_failed = 0;
	add_block(f, 1, &old);
	for (int i = 1; i < 20; i++) {
		int *which = i < 10 ? &fail_rename : &fail_fsync;
		uint64_t before = blockset_last_seq(f->set), profiles;
		for (int k = 0; k < 2; k++)
			make_block(f, 10, &meta[k]);
		uint32_t n_before = n_blocks(f, NULL);
		*which = i < 10 ? i : i - 9;
		int r = publish(f, meta, 2, NULL, 0, before + 1);
		*which = 0;
		n_failed += r < 0;
		uint32_t n_after = n_blocks(f, &profiles);
		assert_int_equal(n_after, n_before + (r == 0 ? 2 : 0));
		assert_int_equal(blockset_last_seq(f->set), before + (r == 0));
		/* After a crash now: the blocks and the number agree, whichever it is. */
		reopen(f);
		assert_int_equal(f->report.n_missing + f->report.n_damaged, 0);
		n_after = n_blocks(f, &profiles);
		assert_int_equal(n_after, 1 + 2 * blockset_last_seq(f->set));
		assert_int_equal(profiles, 1 + 20 * blockset_last_seq(f->set));
		assert_int_equal(n_files(f), n_after);
		assert_true(r < 0 || blockset_last_seq(f->set) == before + 1);
	}
	assert_int_equal(n_failed, 3 + 3);
}

/* The manifest that could not be synced may be the one on disk: nothing it names may go, until
 * another one is. */
static void an_unsure_change_leaves_no_file_behind_in_the_end(void **state)
{
	struct fixture *f = *state;
	struct block_meta unsure, next;
	make_block(f, 3, &unsure);
	fail_fsync = 3; /* of the folder, after the manifest got its name */
	assert_int_equal(publish(f, &unsure, 1, NULL, 0, 5), -EIO);
	assert_int_equal(access(file_of(f, &unsure.id), F_OK), 0);
	assert_int_equal(n_blocks(f, NULL), 0);
	make_block(f, 4, &next);
	/* The old list cannot be written either: still unsure. */
	fail_fsync = 1;
	assert_int_equal(publish(f, &next, 1, NULL, 0, 5), -EIO);
	assert_int_equal(access(file_of(f, &unsure.id), F_OK), 0);
	make_block(f, 4, &next);
	assert_int_equal(publish(f, &next, 1, NULL, 0, 5), 0);
	assert_int_equal(access(file_of(f, &unsure.id), F_OK), -1);
	assert_int_equal(n_files(f), 1);
	reopen(f);
	assert_int_equal(n_blocks(f, NULL), 1);
	assert_int_equal(f->report.n_orphans + f->report.n_missing, 0);
}

static void a_replaced_block_stays_for_those_who_hold_it(void **state)
{
	struct fixture *f = *state;
	struct block_meta old, new;
	struct block **first, **second;
	uint32_t n;
	const struct part *p;
	add_block(f, 20, &old);
	assert_int_equal(blockset_list(f->set, &first, &n), 0);
	assert_int_equal(blockset_list(f->set, &second, &n), 0);
	make_block(f, 20, &new);
	assert_int_equal(publish(f, &new, 1, first, 1, 0), 0);
	assert_int_equal(n_blocks(f, NULL), 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(blockset_load(f->set, second[0], &p, &f->err), 0);
		assert_true(p->n_profiles == 20);
		blockset_unload(f->set, second[0]);
	}
	blockset_release(f->set, first, 1);
	assert_int_equal(n_files(f), 2);
	blockset_release(f->set, second, 1);
	assert_int_equal(n_files(f), 1);
	assert_int_equal(access(file_of(f, &old.id), F_OK), -1);
	assert_int_equal(access(file_of(f, &new.id), F_OK), 0);
	struct blockset_stats stats;
	blockset_get_stats(f->set, &stats);
	assert_int_equal(stats.cache_used, 0);
}

/* Opens the set with the least memory for tables that any of its blocks can be read with. */
static size_t open_with_least(struct fixture *f)
{
	for (size_t cache = 1024;; cache += cache / 4) {
		struct block **list;
		const struct part *p;
		uint32_t n, n_read = 0;
		blockset_close(&f->set);
		assert_int_equal(open_set(f, cache), 0);
		assert_int_equal(blockset_list(f->set, &list, &n), 0);
		for (int r = 0; r == 0 && n_read < n; n_read += r == 0) {
			r = blockset_load(f->set, list[n_read], &p, &f->err);
			assert_true(r == 0 || r == -ENOBUFS);
			if (r == 0)
				blockset_unload(f->set, list[n_read]);
		}
		blockset_release(f->set, list, n);
		if (n_read == n)
			return cache;
	}
}

static void tables_in_memory_keep_their_limit(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta[8];
	struct block **list;
	uint32_t n;
	for (int i = 0; i < 8; i++)
		add_block(f, 100, &meta[i]);
	size_t least = open_with_least(f);
	blockset_close(&f->set);
	assert_int_equal(open_set(f, least), 0);
	assert_int_equal(blockset_list(f->set, &list, &n), 0);
	assert_int_equal(n, 8);
	for (int round = 0; round < 3; round++)
		for (uint32_t i = 0; i < n; i++) {
			const struct part *p;
			struct blockset_stats stats;
			assert_int_equal(blockset_load(f->set, list[i], &p, &f->err), 0);
			blockset_get_stats(f->set, &stats);
			assert_true(stats.cache_used > 0 && stats.cache_used <= stats.cache_max);
			blockset_unload(f->set, list[i]);
		}
	struct blockset_stats stats;
	blockset_get_stats(f->set, &stats);
	assert_int_equal(stats.n_hits + stats.n_loads, 3 * 8);
	assert_true(stats.n_loads > 8);
	blockset_release(f->set, list, n);
	blockset_close(&f->set);
	/* Less than one takes: an error, not a wait. */
	assert_int_equal(open_set(f, least / 4), 0);
	assert_int_equal(blockset_list(f->set, &list, &n), 0);
	const struct part *p;
	assert_int_equal(blockset_load(f->set, list[0], &p, &f->err), -ENOBUFS);
	assert_non_null(strstr(f->err.text, "--memory-limit"));
	blockset_get_stats(f->set, &stats);
	assert_int_equal(stats.n_damaged + stats.cache_used, 0);
	blockset_release(f->set, list, n);
}

/* A question holds what it has read already, though it was replaced meanwhile: that must not
 * keep it from reading the rest. */
static void blocks_that_were_replaced_do_not_fill_the_memory_for_tables(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta[6], merged;
	struct block **list;
	const struct part *p;
	uint32_t n;
	for (int i = 0; i < 6; i++)
		add_block(f, 100, &meta[i]);
	(void)open_with_least(f);
	assert_int_equal(blockset_list(f->set, &list, &n), 0);
	assert_int_equal(n, 6);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(blockset_load(f->set, list[i], &p, &f->err), 0);
		blockset_unload(f->set, list[i]);
	}
	assert_int_equal(blockset_load(f->set, list[2], &p, &f->err), 0);
	make_block(f, 100, &merged);
	assert_int_equal(publish(f, &merged, 1, list, n, 0), 0);
	blockset_unload(f->set, list[2]);
	/* Would wait for ever: alarm() ends that. */
	(void)alarm(60);
	for (uint32_t i = 3; i < n; i++) {
		assert_int_equal(blockset_load(f->set, list[i], &p, &f->err), 0);
		blockset_unload(f->set, list[i]);
	}
	(void)alarm(0);
	struct blockset_stats stats;
	blockset_get_stats(f->set, &stats);
	assert_int_equal(stats.cache_used, 0);
	blockset_release(f->set, list, n);
	assert_int_equal(n_files(f), 1);
}

static void flip(const char *path, off_t at, uint8_t bits)
{
	uint8_t byte;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	at = at < 0 ? st.st_size + at : at;
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= bits;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	assert_int_equal(close(fd), 0);
}

static void change_byte(const char *path, off_t at)
{
	flip(path, at, 0x10);
}

static void a_damaged_block_is_left_out_and_counted_and_stays(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta[3], another;
	struct blockset_stats stats;
	for (int i = 0; i < 3; i++)
		add_block(f, 5, &meta[i]);
	change_byte(file_of(f, &meta[0].id), -3);
	assert_int_equal(unlink(file_of(f, &meta[1].id)), 0);
	reopen(f);
	assert_int_equal(f->report.n_damaged, 1);
	assert_int_equal(f->report.n_missing, 1);
	assert_true(f->report.first.text[0]);
	blockset_get_stats(f->set, &stats);
	assert_int_equal(stats.n_blocks, 1);
	assert_int_equal(stats.n_damaged, 2);
	/* Whoever looks after the disk may bring it back: it is kept, and listed. */
	add_block(f, 5, &another);
	change_byte(file_of(f, &meta[0].id), -3);
	reopen(f);
	assert_int_equal(f->report.n_damaged, 0);
	assert_int_equal(n_blocks(f, NULL), 3);
}

/* The first of the tables' bytes is behind the pages; its row in the table says where. */
static void damage_that_only_reading_finds_is_counted_once(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta;
	struct block_file file;
	struct block **list;
	const struct part *p;
	uint32_t n;
	add_block(f, 50, &meta);
	char name[BLOCK_ID_HEX + 4];
	block_file_name(&meta.id, name);
	assert_int_equal(block_file_open(&file, blockset_dir(f->set), name, NULL, NULL), 0);
	change_byte(file_of(f, &meta.id), (off_t)file.section[SECTION_NODES].off);
	block_file_close(&file);
	reopen(f);
	assert_int_equal(f->report.n_damaged, 0);
	assert_int_equal(blockset_list(f->set, &list, &n), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(blockset_load(f->set, list[0], &p, &f->err), -EBADMSG);
	assert_non_null(strstr(f->err.text, name));
	struct blockset_stats stats;
	blockset_get_stats(f->set, &stats);
	assert_int_equal(stats.n_damaged, 1);
	assert_int_equal(stats.cache_used, 0);
	blockset_release(f->set, list, n);
}

static void a_block_of_another_name_is_not_taken_for_it(void **state)
{
	struct fixture *f = *state;
	struct block_meta a, b;
	char from[512];
	add_block(f, 5, &a);
	add_block(f, 7, &b);
	(void)snprintf(from, sizeof(from), "%s", file_of(f, &a.id));
	assert_int_equal(unlink(file_of(f, &b.id)), 0);
	assert_int_equal(link(from, file_of(f, &b.id)), 0);
	for (int i = 0; i < 2; i++) {
		uint64_t profiles;
		reopen(f);
		assert_int_equal(n_blocks(f, &profiles), 1);
		assert_int_equal(profiles, 5);
		assert_int_equal(f->report.n_damaged, 1);
		/* Nor when the list is made anew. */
		if (i == 0)
			change_byte(path_of(f, "manifest"), 30);
	}
	assert_true(f->report.is_rebuilt);
}

static void a_damaged_manifest_is_made_anew_from_the_blocks(void **state)
{
	struct fixture *f = *state;
	struct block_meta old[2], merged, other;
	struct block **list;
	uint32_t n;
	uint64_t profiles;
	for (int i = 0; i < 2; i++)
		add_block(f, 5, &old[i]);
	assert_int_equal(blockset_list(f->set, &list, &n), 0);
	/* Files of replaced blocks are still there when the power goes. */
	struct head h;
	assert_int_equal(head_init(&h, 1 << 20, 1000), 0);
	testblock_fill(&h, 9, 10, START_MS, 1000);
	const struct part *part = &h.part;
	merged = (struct block_meta){ .last_seq = 41, .n_replaces = 2, .replaces = { old[0].id, old[1].id } };
	testblock_write(blockset_dir(f->set), &part, 1, RES_RAW, RES_RAW, &merged);
	head_done(&h);
	to_temporary(f, &merged.id, true);
	assert_int_equal(publish(f, &merged, 1, list, n, 41), 0);
	add_block(f, 3, &other);
	/* As if the process had been killed before they got their other name. */
	for (int i = 0; i < 2; i++)
		to_temporary(f, &old[i].id, false);
	struct blockset *held = take_ptr(f->set);
	change_byte(path_of(f, "manifest"), -5);
	reopen(f);
	assert_true(f->report.is_rebuilt && f->report.first.text[0]);
	assert_int_equal(n_blocks(f, &profiles), 2);
	assert_int_equal(profiles, 10 + 3);
	assert_int_equal(blockset_last_seq(f->set), 41);
	assert_int_equal(n_files(f), 2);
	reopen(f);
	assert_false(f->report.is_rebuilt);
	assert_int_equal(n_blocks(f, NULL), 2);
	blockset_release(held, list, n);
	blockset_close(&held);
	/* Without any manifest, the same. */
	assert_int_equal(unlink(path_of(f, "manifest")), 0);
	reopen(f);
	assert_true(f->report.is_rebuilt);
	assert_int_equal(n_blocks(f, NULL), 2);
}

/* A question holds the first block of a line while those behind it are merged on, and one that was deleted; then
 * the power goes, and the manifest with it. */
static void what_is_only_held_any_more_does_not_come_back(void **state)
{
	struct fixture *f = *state;
	struct block_meta line[3], deleted;
	struct block **first, **list;
	const struct part *p;
	uint32_t n_first, n;
	uint64_t profiles;
	add_block(f, 7, &line[0]);
	add_block(f, 9, &deleted);
	assert_int_equal(blockset_list(f->set, &first, &n_first), 0);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(blockset_list(f->set, &list, &n), 0);
		struct block *old = find(list, n, &line[i - 1].id);
		make_block(f, 7, &line[i]);
		assert_int_equal(publish(f, &line[i], 1, &old, 1, 0), 0);
		blockset_release(f->set, list, n);
	}
	struct block *gone = find(first, n_first, &deleted.id);
	assert_int_equal(publish(f, NULL, 0, &gone, 1, 0), 0);
	/* Whoever holds them reads them on, by their other names. */
	for (uint32_t i = 0; i < n_first; i++) {
		assert_int_equal(blockset_load(f->set, first[i], &p, &f->err), 0);
		blockset_unload(f->set, first[i]);
	}
	struct blockset *held = take_ptr(f->set);
	change_byte(path_of(f, "manifest"), -5);
	reopen(f);
	assert_true(f->report.is_rebuilt);
	assert_int_equal(n_blocks(f, &profiles), 1);
	assert_int_equal(profiles, 7);
	assert_int_equal(n_files(f), 1);
	blockset_release(held, first, n_first);
	blockset_close(&held);
	assert_int_equal(n_files(f), 1);
}

/* Whatever bit it is, of the version, too: a server that does not start for it would be worse than the damage. */
static void a_manifest_with_another_bit_in_its_first_line_is_made_anew(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta;
	add_block(f, 5, &meta);
	for (off_t bit = 0; bit < 8 * (off_t)strlen("wick-manifest 1\n"); bit++) {
		flip(path_of(f, "manifest"), bit / 8, (uint8_t)(1 << bit % 8));
		reopen(f);
		assert_true(f->report.is_rebuilt);
		assert_string_equal(f->report.first.text, "the manifest is damaged");
		assert_int_equal(n_blocks(f, NULL), 1);
	}
}

/* What cannot be read today was not never published. */
static void making_the_manifest_anew_removes_no_block_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct block_meta whole, damaged;
	add_block(f, 5, &whole);
	add_block(f, 5, &damaged);
	change_byte(file_of(f, &damaged.id), -3);
	change_byte(path_of(f, "manifest"), -5);
	reopen(f);
	assert_true(f->report.is_rebuilt);
	assert_int_equal(f->report.n_damaged, 1);
	assert_int_equal(n_files(f), 2);
	change_byte(file_of(f, &damaged.id), -3);
	reopen(f);
	assert_int_equal(n_blocks(f, NULL), 2);
	/* Of a later version: the store is that one's. */
	change_byte(file_of(f, &damaged.id), 8);
	change_byte(path_of(f, "manifest"), -5);
	blockset_close(&f->set);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(open_set(f, CACHE), -EPROTONOSUPPORT);
		assert_non_null(strstr(f->err.text, "version"));
		assert_int_equal(n_files(f), 2);
	}
	change_byte(file_of(f, &damaged.id), 8);
	reopen(f);
	assert_int_equal(n_blocks(f, NULL), 2);
}

static int count_key(void *arg, const struct key_row *row)
{
	uint64_t *n = arg;
	(void)row;
	++*n;
	return 0;
}

static void keys_that_cannot_be_read_are_counted(void **state)
{
	struct fixture *f = *state;
	struct block_meta a, b;
	struct block_file file;
	char name[BLOCK_ID_HEX + 4];
	uint64_t n = 0;
	add_block(f, 10, &a);
	add_block(f, 20, &b);
	assert_int_equal(blockset_read_keys(f->set, 0, count_key, &n), 0);
	assert_int_equal(n, 30);
	n = 0;
	assert_int_equal(blockset_read_keys(f->set, INT64_MAX, count_key, &n), 0);
	assert_int_equal(n, 0);
	block_file_name(&a.id, name);
	assert_int_equal(block_file_open(&file, blockset_dir(f->set), name, NULL, NULL), 0);
	change_byte(file_of(f, &a.id), (off_t)file.section[SECTION_KEYS].off);
	block_file_close(&file);
	assert_int_equal(blockset_read_keys(f->set, 0, count_key, &n), 1);
	assert_int_equal(n, 20);
}

/* ---- threads ---- */

struct reader {
	struct fixture *f;
	pthread_t thread;
	_Atomic bool *stop;
	uint64_t n_read;
	int result;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;
	while (!*r->stop && r->result == 0) {
		struct block **list;
		uint32_t n;
		uint64_t profiles = 0;
		r->result = blockset_list(r->f->set, &list, &n);
		for (uint32_t i = 0; r->result == 0 && i < n; i++) {
			const struct part *p;
			r->result = blockset_load(r->f->set, list[i], &p, NULL);
			if (r->result < 0)
				break;
			profiles += p->n_profiles;
			blockset_unload(r->f->set, list[i]);
		}
		blockset_release(r->f->set, list, n);
		/* One block replaces one: never none, never both. */
		if (r->result == 0 && profiles != 4 * 50)
			r->result = -ERANGE;
		r->n_read++;
	}
	return NULL;
}

static void readers_see_each_list_whole_while_blocks_are_replaced(void **state)
{
	struct fixture *f = *state;
	struct block_meta meta[4];
	_Atomic bool stop = false;
	struct reader readers[3];
	for (int i = 0; i < 4; i++)
		add_block(f, 50, &meta[i]);
	/* One at a time, with some room for blocks that come to be larger. */
	size_t least = open_with_least(f);
	blockset_close(&f->set);
	assert_int_equal(open_set(f, least * 2), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		readers[i] = (struct reader){ .f = f, .stop = &stop };
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_all, &readers[i]), 0);
	}
	for (int i = 0; i < 60; i++) {
		struct block **list;
		struct block_meta next;
		uint32_t n;
		make_block(f, 50, &next);
		assert_int_equal(blockset_list(f->set, &list, &n), 0);
		struct block *old = find(list, n, &meta[i % 4].id);
		assert_non_null(old);
		assert_int_equal(publish(f, &next, 1, &old, 1, 0), 0);
		blockset_release(f->set, list, n);
		meta[i % 4] = next;
	}
	stop = true;
	for (unsigned i = 0; i < ARRAY_SIZE(readers); i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
		assert_int_equal(readers[i].result, 0);
		assert_true(readers[i].n_read > 0);
	}
	assert_int_equal(n_files(f), 4);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(what_is_published_is_there_after_a_restart),
		CASE(files_that_were_never_published_are_removed),
		CASE(a_change_is_on_disk_whole_or_not_at_all),
		CASE(an_unsure_change_leaves_no_file_behind_in_the_end),
		CASE(a_replaced_block_stays_for_those_who_hold_it),
		CASE(tables_in_memory_keep_their_limit),
		CASE(blocks_that_were_replaced_do_not_fill_the_memory_for_tables),
		CASE(a_damaged_block_is_left_out_and_counted_and_stays),
		CASE(damage_that_only_reading_finds_is_counted_once),
		CASE(a_block_of_another_name_is_not_taken_for_it),
		CASE(a_damaged_manifest_is_made_anew_from_the_blocks),
		CASE(what_is_only_held_any_more_does_not_come_back),
		CASE(a_manifest_with_another_bit_in_its_first_line_is_made_anew),
		CASE(making_the_manifest_anew_removes_no_block_that_cannot_be_read),
		CASE(keys_that_cannot_be_read_are_counted),
		CASE(readers_see_each_list_whole_while_blocks_are_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
