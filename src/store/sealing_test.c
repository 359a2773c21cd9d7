/* SPDX-License-Identifier: Apache-2.0 */
/* A store whose files are sealed. */
#include "unit.h"

#include "base/clock.h"
#include "format/pprof.h"
#include "store/block_part.h"
#include "store/scan.h"
#include "store/store.h"
#include "store/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#define KEY_A "2026-a 0101010101010101010101010101010101010101010101010101010101010101\n"
#define KEY_B "2026-b 0202020202020202020202020202020202020202020202020202020202020202\n"
#define NOT_A "2026-a 0303030303030303030303030303030303030303030303030303030303030303\n"

#define DAY_MS	 INT64_C(86400000)
#define SERVICE	 "checkout-service"
#define FUNCTION "handle_secret_payment"

/* Idempotency keys are kept for a day. */
static int64_t started_ms;

struct fixture {
	char dir[64];
	struct keyring *keys;
	struct store *store;
	unsigned n_sent;
};

static void use_keys(struct fixture *f, const char *text)
{
	keyring_free(&f->keys);
	if (text)
		assert_int_equal(keyring_parse(slice_str(text), &f->keys, NULL), 0);
}

static int open_with(struct fixture *f, const char *keys, struct error *err)
{
	store_close(&f->store);
	use_keys(f, keys);
	const struct store_options o = {
		.dir = f->dir,
		.memory_limit = 64 << 20,
		.head_memory = 16 << 20,
		.tables_memory = 16 << 20,
		.build_memory = 16 << 20,
		.is_idle = true,
		.decode_memory = 16 << 20,
		.n_threads = 2,
		.disk_limit = 64 << 20,
		.keys = f->keys,
	};
	return store_open(&o, &f->store, NULL, err);
}

static void reopen(struct fixture *f, const char *keys)
{
	struct error err = { "" };
	if (open_with(f, keys, &err) < 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/wick-sealing-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[80];
	store_close(&f->store);
	use_keys(f, NULL);
	(void)snprintf(command, sizeof(command), "rm -r '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* ---- profiles in ---- */

struct upload {
	struct store_commit commit;
	struct intake_profile profile;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
};

static void on_done(struct store_commit *c)
{
	struct upload *u = (struct upload *)((char *)c - offsetof(struct upload, commit));
	(void)pthread_mutex_lock(&u->lock);
	u->is_done = true;
	(void)pthread_cond_signal(&u->changed);
	(void)pthread_mutex_unlock(&u->lock);
}

static void wait_for(struct upload *u)
{
	(void)pthread_mutex_lock(&u->lock);
	while (!u->is_done)
		(void)pthread_cond_wait(&u->changed, &u->lock);
	(void)pthread_mutex_unlock(&u->lock);
}

/* handle_secret_payment<n>: value 1 */
static void encode(unsigned n, struct buf *out)
{
	struct profile p;
	char name[64];
	struct frame_id frame;
	struct node_id node = { 0 };
	int64_t value = 1;
	(void)snprintf(name, sizeof(name), FUNCTION "%u", n);
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_int_equal(dict_named_frame(&p.dict, slice_str(name), FRAME_USER, &frame), 0);
	assert_int_equal(dict_node(&p.dict, node, frame, &node), 0);
	assert_int_equal(profile_add_sample(&p, node, (struct labels_id){ 0 }, &value), 0);
	p.time_ns = started_ms * 1000000 + n;
	p.duration_ns = 10000000000;
	assert_int_equal(pprof_encode(&p, out), 0);
	profile_done(&p);
}

/* 0 stored, 1 duplicate. */
static int send_one(struct fixture *f, unsigned n)
{
	struct buf body = buf_of(1 << 20);
	struct upload u = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	char key[32];
	encode(n, &body);
	(void)snprintf(key, sizeof(key), "secret-key-%u", n);
	struct intake *in = &u.commit.record.intake;
	in->label[SERIES_SERVICE] = slice_str(SERVICE);
	in->key = slice_str(key);
	in->received_ms = started_ms;
	struct slice bytes = slice_of(body.data, body.n);
	assert_int_equal(intake_decode(in, bytes, &format_limits_default, NULL, &u.profile, NULL), 0);
	u.commit.record.body = bytes;
	u.commit.profile = &u.profile;
	u.commit.done = on_done;
	assert_int_equal(store_submit(f->store, &u.commit), 0);
	wait_for(&u);
	assert_int_equal(u.commit.result, 0);
	intake_profile_done(&u.profile);
	buf_done(&body);
	return u.commit.duplicate;
}

static void send(struct fixture *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(send_one(f, f->n_sent++), 0);
}

static void flush(struct fixture *f)
{
	struct error err = { "" };
	if (store_flush(f->store, &err) < 0)
		fail_msg("%s", err.text);
}

/* Rounds of compaction as they are so many days later; their number. */
static unsigned tidy(struct fixture *f, int days)
{
	unsigned n = 0;
	struct error err = { "" };
	for (bool more = true; more; n++)
		if (store_tidy(f->store, started_ms + days * DAY_MS, &more, &err) < 0)
			fail_msg("%s", err.text);
	return n - 1;
}

/* ---- what is there ---- */

/* *ret_damaged: pages that cannot be read. */
static int64_t total_of_part(const struct part *p, uint64_t *ret_damaged)
{
	int64_t sum = 0;
	struct scan scan;
	struct rows rows;
	const struct scan_options all = { .from_ms = INT64_MIN, .to_ms = INT64_MAX, .coarsest = RES_DAY };
	assert_int_equal(scan_init(&scan, p, &all, NULL), 0);
	for (uint32_t i = 0; i < p->series.n; i++) {
		assert_int_equal(scan_series(&scan, i), 0);
		for (int r; (r = scan_next(&scan)) != 0;) {
			assert_int_equal(r, 1);
			if (scan_rows(&scan, &rows) == 1)
				for (uint32_t k = 0; k < rows.n; k++)
					sum += rows.value[k];
		}
	}
	*ret_damaged = scan.stats.n_damaged;
	scan_done(&scan);
	return sum;
}

static int64_t total(struct fixture *f)
{
	int64_t sum = 0;
	struct view *v;
	assert_int_equal(view_take(f->store, &v), 0);
	for (uint32_t i = 0; i < view_n_parts(v); i++) {
		const struct part *p;
		uint64_t n_damaged;
		assert_int_equal(view_open(v, i, &p, NULL), 0);
		sum += total_of_part(p, &n_damaged);
		assert_int_equal(n_damaged, 0);
		view_close(v, i);
	}
	view_free(&v);
	return sum;
}

static DIR *open_folder(const struct fixture *f, const char *name)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	DIR *d = opendir(path);
	assert_non_null(d);
	return d;
}

/* The name of the next block; NULL: there is none. */
static const char *next_block(DIR *d)
{
	for (const struct dirent *e; (e = readdir(d));)
		if (strstr(e->d_name, ".blk"))
			return e->d_name;
	return NULL;
}

/* How many blocks are sealed with a key; "" = not sealed. */
static unsigned count_blocks(const struct fixture *f, const char *key_id)
{
	unsigned n = 0;
	struct block_file file;
	DIR *d = open_folder(f, "blocks");
	for (const char *name; (name = next_block(d));) {
		assert_int_equal(block_file_open(&file, dirfd(d), name, f->keys, NULL), 0);
		n += strcmp(file.meta.key_id, key_id) == 0;
		block_file_close(&file);
	}
	(void)closedir(d);
	return n;
}

/* Whether a file under the folder holds the word. */
static bool is_readable(const struct fixture *f, const char *word)
{
	char command[160];
	(void)snprintf(command, sizeof(command), "grep -r -q -a -F '%s' '%s'", word, f->dir);
	int r = system(command);
	assert_true(r == 0 || r == 1 << 8);
	return r == 0;
}

static bool anything_is_readable(const struct fixture *f)
{
	return is_readable(f, SERVICE) || is_readable(f, FUNCTION) || is_readable(f, "nanoseconds") ||
	       is_readable(f, "secret-key");
}

/* ---- cases ---- */

/* At no time of a profile's life does a file say what was profiled. */
static void nothing_of_a_profile_is_readable(void **state)
{
	struct fixture *f = *state;
	reopen(f, KEY_A);
	send(f, 5);
	assert_false(anything_is_readable(f));
	flush(f);
	assert_false(anything_is_readable(f));
	send(f, 3);
	reopen(f, KEY_A);
	assert_int_equal(total(f), 8);
	flush(f);
	assert_int_equal(count_blocks(f, "2026-a"), 2);
	/* What was sent before is known still, by the blocks. */
	reopen(f, KEY_A);
	assert_int_equal(send_one(f, 0), 1);
	assert_true(tidy(f, 3) > 0);
	assert_int_equal(count_blocks(f, "2026-a"), 1);
	assert_false(anything_is_readable(f));
	reopen(f, KEY_A);
	assert_int_equal(total(f), 8);
	/* That grep would have found it. */
	char command[128];
	(void)snprintf(command, sizeof(command), "echo xx" FUNCTION "xx > %s/seen", f->dir);
	assert_int_equal(system(command), 0);
	assert_true(anything_is_readable(f));
}

/* A server that started without a block would show a gap as if there had been no load, and
 * would evict nothing of it: the person has to say which key was meant. */
static void a_block_without_its_key_stops_the_start(void **state)
{
	struct fixture *f = *state;
	struct error err = { "" };
	reopen(f, KEY_A);
	send(f, 2);
	flush(f);
	DIR *d = open_folder(f, "blocks");
	char name[64];
	(void)snprintf(name, sizeof(name), "%.36s", next_block(d));
	(void)closedir(d);
	assert_int_equal(open_with(f, NULL, &err), -ENOKEY);
	assert_non_null(strstr(err.text, name));
	assert_non_null(strstr(err.text, "the key 2026-a"));
	assert_non_null(strstr(err.text, "--encryption-keys"));
	assert_int_equal(open_with(f, KEY_B, &err), -ENOKEY);
	assert_non_null(strstr(err.text, name));
	assert_non_null(strstr(err.text, "no key with the id 2026-a"));
	assert_non_null(strstr(err.text, "--encryption-keys"));
	assert_int_equal(open_with(f, NOT_A, &err), -EKEYREJECTED);
	assert_non_null(strstr(err.text, name));
	assert_non_null(strstr(err.text, "the key 2026-a of --encryption-keys does not open"));
	/* Where the manifest is lost, too, nothing is removed as if nobody had named it. */
	char manifest[96];
	(void)snprintf(manifest, sizeof(manifest), "%s/blocks/manifest", f->dir);
	assert_int_equal(unlink(manifest), 0);
	assert_int_equal(open_with(f, KEY_B, &err), -ENOKEY);
	reopen(f, KEY_A);
	assert_int_equal(total(f), 2);
}

/* 1. new key on top, 2. all is written anew in time, 3. old key out: docs/encryption.md. */
static void a_key_can_be_replaced(void **state)
{
	struct fixture *f = *state;
	reopen(f, KEY_A);
	send(f, 2);
	flush(f);
	/* A day that is over rests in one block. */
	(void)tidy(f, 3);
	send(f, 1);
	reopen(f, KEY_B KEY_A);
	assert_int_equal(total(f), 3);
	assert_int_equal(count_blocks(f, "2026-a"), 1);
	assert_int_equal(tidy(f, 3), 1);
	struct store_status status;
	store_get_status(f->store, &status);
	assert_int_equal(status.keeping.n_resealed, 1);
	assert_int_equal(count_blocks(f, "2026-b"), 1);
	assert_int_equal(count_blocks(f, "2026-a"), 0);
	/* The log's record of the old key goes with the flush. */
	flush(f);
	assert_int_equal(count_blocks(f, "2026-b"), 2);
	reopen(f, KEY_B KEY_A);
	reopen(f, KEY_B);
	assert_int_equal(total(f), 3);
	assert_int_equal(tidy(f, 3), 1);
	assert_int_equal(tidy(f, 3), 0);
}

static void sealing_can_be_switched_on_later(void **state)
{
	struct fixture *f = *state;
	reopen(f, NULL);
	send(f, 2);
	flush(f);
	send(f, 2);
	assert_true(anything_is_readable(f));
	assert_int_equal(count_blocks(f, ""), 1);
	reopen(f, KEY_A);
	assert_int_equal(total(f), 4);
	send(f, 1);
	flush(f);
	assert_int_equal(count_blocks(f, ""), 1);
	assert_int_equal(count_blocks(f, "2026-a"), 1);
	assert_true(tidy(f, 3) > 0);
	assert_int_equal(count_blocks(f, ""), 0);
	/* The log's segments go once blocks hold them. */
	reopen(f, KEY_A);
	assert_false(anything_is_readable(f));
	assert_int_equal(total(f), 5);
}

static void flip(const char *path, size_t at)
{
	uint8_t byte;
	int fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	(void)close(fd);
}

/* Whether the block shows all of its profiles, or says that something is damaged. */
static bool is_told(const struct fixture *f, const char *path, int64_t expected)
{
	struct block_part part;
	struct membudget budget = membudget_of(16 << 20);
	uint64_t n_damaged = 0;
	if (block_part_load(&part, AT_FDCWD, path, f->keys, &budget, NULL) < 0)
		return true;
	int64_t sum = total_of_part(&part.part, &n_damaged);
	block_part_done(&part);
	return sum == expected || n_damaged > 0;
}

static void no_flipped_bit_changes_an_answer(void **state)
{
	struct fixture *f = *state;
	char path[256];
	reopen(f, KEY_A);
	send(f, 20);
	flush(f);
	DIR *d = open_folder(f, "blocks");
	(void)snprintf(path, sizeof(path), "%s/blocks/%.36s", f->dir, next_block(d));
	(void)closedir(d);
	struct block_file file;
	assert_int_equal(block_file_open(&file, AT_FDCWD, path, f->keys, NULL), 0);
	size_t size = file.meta.size;
	block_file_close(&file);
	assert_true(size > 1000);
	for (size_t at = 0; at < size; at++) {
		flip(path, at);
		if (!is_told(f, path, 20))
			fail_msg("byte %zu", at);
		flip(path, at);
	}
}

/* Pieces of one block do not pass for one another: each is sealed to its place. */
static void a_piece_opens_at_its_place_only(void **state)
{
	struct fixture *f = *state;
	uint8_t stored[4096], plain[4096];
	reopen(f, KEY_A);
	send(f, 1);
	flush(f);
	DIR *d = open_folder(f, "blocks");
	struct block_file file;
	struct sealing_key key;
	assert_int_equal(block_file_open(&file, dirfd(d), next_block(d), f->keys, NULL), 0);
	const struct block_row *row = &file.section[SECTION_STRINGS];
	assert_true(row->stored_size < sizeof(stored));
	assert_int_equal(block_file_read(&file, row->off, row->stored_size, stored), 0);
	struct slice piece = slice_of(stored, row->stored_size);
	assert_int_equal(block_file_key(&file, &key), 0);
	assert_int_equal(block_file_unseal(&file, &key, row->off, piece, plain), 0);
	assert_int_equal(block_file_unseal(&file, &key, row->off + 8, piece, plain), -EBADMSG);
	file.meta.id.byte[0] ^= 1;
	assert_int_equal(block_file_unseal(&file, &key, row->off, piece, plain), -EBADMSG);
	sealing_key_done(&key);
	block_file_close(&file);
	(void)closedir(d);
}

int main(void)
{
	started_ms = clock_wall_ns() / 1000000;
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(nothing_of_a_profile_is_readable),
		CASE(a_block_without_its_key_stops_the_start),
		CASE(a_key_can_be_replaced),
		CASE(sealing_can_be_switched_on_later),
		CASE(no_flipped_bit_changes_an_answer),
		CASE(a_piece_opens_at_its_place_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
