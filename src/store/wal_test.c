/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/wal.h"
#include "store/wal_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* The disk, at our mercy: linked with --wrap. */
static int fail_sync;	  /* so many calls of fdatasync() fail with EIO */
static int fail_write_at; /* the n-th pwrite() from now on fails half way with ENOSPC; 0 = none */

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pwrite64(int fd, const void *data, size_t size, off64_t off);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off64_t off);

int __wrap_fdatasync(int fd)
{
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return __real_fdatasync(fd);
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off64_t off)
{
	if (fail_write_at > 0 && --fail_write_at == 0) {
		/* First a part gets through, then none: as a full disk does it. */
		if (size > 1) {
			fail_write_at = 1;
			return __real_pwrite64(fd, data, size / 2, off);
		}
		errno = ENOSPC;
		return -1;
	}
	return __real_pwrite64(fd, data, size, off);
}

#define KEY_A "a 0101010101010101010101010101010101010101010101010101010101010101\n"
#define KEY_B "b 0202020202020202020202020202020202020202020202020202020202020202\n"
#define NOT_A "a 0303030303030303030303030303030303030303030303030303030303030303\n"

static struct keyring *keys; /* NULL: nothing is sealed */

/* NULL: from now on without. */
static void use_keys(const char *text)
{
	keyring_free(&keys);
	if (text)
		assert_int_equal(keyring_parse(slice_str(text), &keys, NULL), 0);
}

static size_t header_size(void)
{
	return keys ? WAL_SEALED_HEADER_SIZE : WAL_SEGMENT_HEADER_SIZE;
}

struct folder {
	char path[64];
};

static int set_up(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	(void)snprintf(f->path, sizeof(f->path), "/tmp/wick-wal-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	fail_sync = fail_write_at = 0;
	*state = f;
	return 0;
}

static int set_up_sealed(void **state)
{
	use_keys(KEY_A);
	return set_up(state);
}

static void empty(const char *path)
{
	DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
	(void)closedir(d);
}

static int tear_down(void **state)
{
	struct folder *f = *state;
	empty(f->path);
	(void)rmdir(f->path);
	free(f);
	use_keys(NULL);
	return 0;
}

static struct wal *open_wal(const struct folder *f, uint64_t segment_size)
{
	struct wal *w = NULL;
	struct error err = { "" };
	if (wal_open(f->path, segment_size, 0, &w, &err) < 0)
		fail_msg("%s", err.text);
	wal_use_keys(w, keys);
	return w;
}

/* A body of a size that depends on n, none of them a multiple of 8. */
static struct slice body_of(unsigned n, char out[static 64])
{
	int size = snprintf(out, 64, "\x1f\x8b body %u %.*s", n, (int)(n % 5), "xxxxx");
	return slice_of(out, (size_t)size);
}

static int append(struct wal *w, unsigned n)
{
	char body[64], key[16];
	(void)snprintf(key, sizeof(key), "key-%u", n);
	struct wal_record r = {
		.intake = { .key = slice_str(key), .from_ms = n + 1, .received_ms = 7 },
		.body = body_of(n, body),
	};
	r.intake.label[SERIES_SERVICE] = slice_str("api");
	r.intake.label[SERIES_HOST] = slice_str("h1");
	return wal_append(w, &r, NULL);
}

static void append_synced(struct wal *w, unsigned n)
{
	assert_int_equal(append(w, n), 0);
	assert_int_equal(wal_sync(w, NULL), 0);
}

static void assert_record(const struct wal_record *r, unsigned n)
{
	char body[64], key[16];
	(void)snprintf(key, sizeof(key), "key-%u", n);
	assert_true(slice_eq(r->body, body_of(n, body)));
	assert_true(slice_eq(r->intake.key, slice_str(key)));
	assert_true(slice_eq(r->intake.label[SERIES_HOST], slice_str("h1")));
	assert_int_equal(r->intake.from_ms, n + 1);
}

/* Reads all and checks that each is one of ours; bit n of the result = record n. */
static unsigned read_all(struct wal *w)
{
	unsigned seen = 0;
	struct wal_record r;
	struct error err = { "" };
	int e;
	while ((e = wal_next(w, &r, &err)) == 1) {
		unsigned n = (unsigned)r.intake.from_ms - 1;
		assert_record(&r, n);
		assert_false(seen >> n & 1);
		seen |= 1u << n;
	}
	if (e < 0)
		fail_msg("%s", err.text);
	return seen;
}

static unsigned read_folder(const struct folder *f, struct wal_report *ret)
{
	_cleanup_(wal_free)
	struct wal *w = open_wal(f, 1 << 20);
	unsigned seen = read_all(w);
	if (ret)
		*ret = *wal_get_report(w);
	return seen;
}

/* The only segment's name and bytes. */
static size_t take_segment(const struct folder *f, char path[static 512], uint8_t *bytes, size_t max)
{
	DIR *d = opendir(f->path);
	size_t n = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (!strstr(e->d_name, ".wal"))
			continue;
		(void)snprintf(path, 512, "%s/%s", f->path, e->d_name);
		int fd = open(path, O_RDONLY);
		n = (size_t)read(fd, bytes, max);
		(void)close(fd);
	}
	(void)closedir(d);
	return n;
}

static void put_segment(const char *path, const uint8_t *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	(void)close(fd);
}

static void records_come_back_whole_and_in_order(void **state)
{
	const struct folder *f = *state;
	_cleanup_(wal_free)
	struct wal *w = open_wal(f, 200);
	assert_int_equal(read_all(w), 0);
	for (unsigned n = 0; n < 10; n++)
		append_synced(w, n);
	wal_free(&w);
	w = open_wal(f, 200);
	struct wal_record r;
	for (unsigned n = 0; n < 10; n++) {
		assert_int_equal(wal_next(w, &r, NULL), 1);
		assert_record(&r, n);
		assert_int_equal(r.seq, n + 1);
	}
	assert_int_equal(wal_next(w, &r, NULL), 0);
	assert_true(wal_get_report(w)->n_segments > 3);
	append_synced(w, 10);
	wal_free(&w);
	assert_int_equal(read_folder(f, NULL), 0x7ff);
}

/* A power cut may leave any part of the last write. */
static void a_torn_end_costs_only_what_was_not_whole(void **state)
{
	const struct folder *f = *state;
	uint8_t whole[4096];
	char path[512];
	size_t ends[3];
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	for (unsigned n = 0; n < 3; n++) {
		append_synced(w, n);
		ends[n] = (size_t)wal_bytes(w);
	}
	wal_free(&w);
	size_t size = take_segment(f, path, whole, sizeof(whole));
	assert_int_equal(size, ends[2]);
	for (size_t cut = 0; cut <= size; cut++) {
		empty(f->path);
		put_segment(path, whole, cut);
		/* The padding behind a record is not part of it. */
		unsigned expected = 0;
		for (unsigned n = 0; n < 3; n++)
			if (cut + 7 >= ends[n])
				expected |= 1u << n;
		w = open_wal(f, 1 << 20);
		unsigned seen = read_all(w);
		assert_true((seen & ~expected) == 0);
		for (unsigned n = 0; n < 3; n++)
			if (cut >= ends[n])
				assert_true(seen >> n & 1);
		assert_int_equal(wal_get_report(w)->n_damaged, 0);
		append_synced(w, 5);
		wal_free(&w);
		struct wal_report report;
		assert_int_equal(read_folder(f, &report), seen | 1u << 5);
		assert_int_equal(report.torn_bytes, 0);
	}
}

static void a_flipped_bit_costs_one_record_and_is_counted(void **state)
{
	const struct folder *f = *state;
	uint8_t whole[4096];
	char path[512];
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	size_t ends[3];
	for (unsigned n = 0; n < 3; n++) {
		append_synced(w, n);
		ends[n] = (size_t)wal_bytes(w);
	}
	wal_free(&w);
	size_t size = take_segment(f, path, whole, sizeof(whole));
	for (size_t bit = 0; bit < ends[1] * 8; bit++) {
		whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put_segment(path, whole, size);
		whole[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bit / 8 >= 8 && bit / 8 < 12)
			continue; /* the version: another case */
		struct wal_report report;
		unsigned seen = read_folder(f, &report);
		unsigned hit = bit / 8 < header_size() ? 3 : bit / 8 < ends[0] ? 0 : 1;
		/* Padding may be hit: then nothing is lost. */
		assert_int_equal(seen | 1u << hit, 7 | 1u << hit);
		assert_true(seen == 7 || report.n_damaged == 1);
	}
}

/* Whoever sends profiles must not be able to make up records. */
static void a_record_inside_a_body_is_not_a_record(void **state)
{
	const struct folder *f = *state;
	_cleanup_(buf_done)
	struct buf forged = buf_of(4096);
	struct wal_record inner = { .seq = 99, .intake.key = slice_str("forged") };
	inner.intake.label[SERIES_SERVICE] = slice_str("evil");
	/* Everywhere modulo 8, and without knowing the salt. */
	for (int i = 0; i < 8; i++) {
		wal_record_write(&inner, 0, &forged);
		buf_add_byte(&forged, 0);
	}
	struct wal_record r = { .body = slice_of(forged.data, forged.n) };
	r.intake.label[SERIES_SERVICE] = slice_str("api");
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	assert_int_equal(wal_append(w, &r, NULL), 0);
	assert_int_equal(wal_sync(w, NULL), 0);
	append_synced(w, 4);
	wal_free(&w);
	uint8_t whole[8192];
	char path[512];
	size_t size = take_segment(f, path, whole, sizeof(whole));
	whole[header_size()] ^= 1; /* the outer record is no more */
	put_segment(path, whole, size);
	assert_int_equal(read_folder(f, NULL), 1u << 4);
}

static void after_a_failed_sync_nothing_of_the_batch_remains(void **state)
{
	const struct folder *f = *state;
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	append_synced(w, 0);
	uint64_t before = wal_bytes(w);
	assert_int_equal(append(w, 1), 0);
	assert_int_equal(append(w, 2), 0);
	fail_sync = 2; /* the one that undoes it, too */
	struct error err;
	assert_int_equal(wal_sync(w, &err), -EIO);
	assert_non_null(strstr(err.text, "cannot sync"));
	assert_int_equal(wal_bytes(w), before);
	append_synced(w, 3); /* in a segment of its own */
	wal_free(&w);
	struct wal_report report;
	assert_int_equal(read_folder(f, &report), 1 | 1u << 3);
	assert_int_equal(report.n_segments, 2);
}

static void a_full_disk_at_any_write_loses_nothing_acknowledged(void **state)
{
	const struct folder *f = *state;
	for (int at = 1; at < 14; at++) {
		empty(f->path);
		struct wal *w = open_wal(f, 400);
		assert_int_equal(read_all(w), 0);
		unsigned acked = 0;
		fail_write_at = at;
		for (unsigned n = 0; n < 8; n += 2) {
			int r = append(w, n);
			if (r == 0)
				r = append(w, n + 1);
			if (r < 0)
				wal_rollback(w);
			else if (wal_sync(w, NULL) == 0)
				acked |= 3u << n;
		}
		assert_int_equal(fail_write_at, 0);
		assert_int_not_equal(acked, 0xff);
		wal_free(&w);
		struct wal_report report;
		assert_int_equal(read_folder(f, &report), acked);
		assert_int_equal(report.torn_bytes + report.n_damaged, 0);
	}
}

static void a_later_version_is_refused_by_number(void **state)
{
	const struct folder *f = *state;
	struct wal *w = open_wal(f, 400);
	assert_int_equal(read_all(w), 0);
	append_synced(w, 0);
	wal_free(&w);
	uint8_t whole[4096];
	char path[512];
	size_t size = take_segment(f, path, whole, sizeof(whole));
	whole[8] = WAL_VERSION_SEALED + 1;
	uint64_t hash = XXH3_64bits(whole, 24);
	memcpy(whole + 24, &hash, sizeof(hash));
	put_segment(path, whole, size);
	w = open_wal(f, 400);
	struct wal_record r;
	struct error err;
	assert_int_equal(wal_next(w, &r, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "version 3"));
	wal_free(&w);
}

/* ---- sealed ---- */

static int read_error(const struct folder *f, struct error *err)
{
	_cleanup_(wal_free)
	struct wal *w = open_wal(f, 1 << 20);
	struct wal_record r;
	int e;
	while ((e = wal_next(w, &r, err)) == 1)
		;
	return e;
}

static bool holds(struct slice bytes, const char *word)
{
	return memmem(bytes.data, bytes.size, word, strlen(word)) != NULL;
}

/* Who gets hold of the disk learns neither what ran nor where. */
static void nothing_of_a_record_is_readable(void **state)
{
	const struct folder *f = *state;
	uint8_t whole[4096];
	char path[512];
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	append_synced(w, 0);
	wal_free(&w);
	struct slice bytes = slice_of(whole, take_segment(f, path, whole, sizeof(whole)));
	assert_false(holds(bytes, "body") || holds(bytes, "api") || holds(bytes, "key-0") || holds(bytes, "h1"));
	assert_int_equal(read_folder(f, NULL), 1);
}

/* Acknowledged profiles must not be cut off as if they were a torn write, only since the key
 * is not at hand. */
static void without_its_key_a_log_is_refused_and_left_as_it_is(void **state)
{
	const struct folder *f = *state;
	struct error err;
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	append_synced(w, 0);
	wal_free(&w);
	use_keys(NULL);
	assert_int_equal(read_error(f, &err), -ENOKEY);
	assert_non_null(strstr(err.text, "the key a"));
	assert_non_null(strstr(err.text, "--encryption-keys"));
	use_keys(KEY_B);
	assert_int_equal(read_error(f, &err), -ENOKEY);
	assert_non_null(strstr(err.text, "no key with the id a"));
	use_keys(NOT_A);
	assert_int_equal(read_error(f, &err), -EKEYREJECTED);
	assert_non_null(strstr(err.text, "byte 72"));
	assert_non_null(strstr(err.text, "the key a of --encryption-keys"));
	use_keys(KEY_B KEY_A);
	assert_int_equal(read_folder(f, NULL), 1);
}

/* Sealing may be switched on, and its key replaced, over a log that is there. */
static void segments_of_all_keys_are_read_and_none_is_continued(void **state)
{
	const struct folder *f = *state;
	const char *texts[] = { NULL, KEY_A, KEY_B KEY_A };
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		use_keys(texts[i]);
		for (unsigned k = 0; k < 2; k++) {
			struct wal *w = open_wal(f, 1 << 20);
			assert_int_equal(read_all(w), (1u << (2 * i + k)) - 1);
			append_synced(w, 2 * i + k);
			assert_int_equal(wal_get_report(w)->n_segments, i + (k > 0));
			wal_free(&w);
		}
	}
	struct wal_report report;
	assert_int_equal(read_folder(f, &report), 0x3f);
	assert_int_equal(report.n_segments, 3);
}

static void the_header_of_a_sealed_segment_may_be_lost(void **state)
{
	const struct folder *f = *state;
	uint8_t whole[4096];
	char path[512];
	struct error err;
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	append_synced(w, 0);
	append_synced(w, 1);
	wal_free(&w);
	size_t size = take_segment(f, path, whole, sizeof(whole));
	memset(whole, 0xff, WAL_SEALED_HEADER_SIZE);
	put_segment(path, whole, size);
	use_keys(NULL);
	assert_int_equal(read_error(f, &err), -EKEYREJECTED);
	assert_non_null(strstr(err.text, "header is damaged"));
	use_keys(KEY_B KEY_A);
	assert_int_equal(read_folder(f, NULL), 3);
}

static uint64_t hash_of(const uint8_t *record, size_t size, uint64_t salt)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(4096);
	buf_add(&b, record, size);
	memset(b.data + 24, 0, 8);
	return XXH3_64bits_withSeed(b.data, b.n, salt);
}

/* Hashes are for accidents: who changes a record on purpose makes its hash right again. */
static void a_record_altered_on_purpose_is_not_believed(void **state)
{
	const struct folder *f = *state;
	uint8_t whole[4096];
	char path[512];
	uint64_t salt, hash;
	struct error err;
	struct wal *w = open_wal(f, 1 << 20);
	assert_int_equal(read_all(w), 0);
	append_synced(w, 0);
	wal_free(&w);
	size_t size = take_segment(f, path, whole, sizeof(whole));
	uint8_t *record = whole + WAL_SEALED_HEADER_SIZE;
	size_t record_size = wal_record_size(record);
	memcpy(&salt, whole + 16, sizeof(salt));
	memcpy(&hash, record + 24, sizeof(hash));
	assert_int_equal(hash_of(record, record_size, salt), hash);
	/* Codec, sequence number, a byte of the nonce, of the text, of the tag. */
	const size_t places[] = { 5, 16, 33, 32 + 12 + 3, record_size - 1 };
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		record[places[i]] ^= 1;
		hash = hash_of(record, record_size, salt);
		memcpy(record + 24, &hash, sizeof(hash));
		put_segment(path, whole, size);
		assert_int_equal(read_error(f, &err), -EKEYREJECTED);
		record[places[i]] ^= 1;
	}
	/* Nor is one that is not sealed, in a segment that is. */
	struct wal_record forged = { .seq = 7, .intake.key = slice_str("forged") };
	struct buf out = buf_of(4096);
	forged.intake.label[SERIES_SERVICE] = slice_str("evil");
	wal_record_write(&forged, salt, &out);
	memcpy(record, out.data, out.n);
	put_segment(path, whole, WAL_SEALED_HEADER_SIZE + out.n);
	buf_done(&out);
	assert_int_equal(read_folder(f, NULL), 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SEALED(f)                                                                                                      \
	{                                                                                                              \
		"sealed_" #f, f, set_up_sealed, tear_down, NULL                                                        \
	}
	const struct CMUnitTest tests[] = {
		CASE(records_come_back_whole_and_in_order),
		CASE(a_torn_end_costs_only_what_was_not_whole),
		CASE(a_flipped_bit_costs_one_record_and_is_counted),
		CASE(a_record_inside_a_body_is_not_a_record),
		CASE(after_a_failed_sync_nothing_of_the_batch_remains),
		CASE(a_full_disk_at_any_write_loses_nothing_acknowledged),
		CASE(a_later_version_is_refused_by_number),
		SEALED(records_come_back_whole_and_in_order),
		SEALED(a_torn_end_costs_only_what_was_not_whole),
		SEALED(a_flipped_bit_costs_one_record_and_is_counted),
		SEALED(a_record_inside_a_body_is_not_a_record),
		SEALED(after_a_failed_sync_nothing_of_the_batch_remains),
		SEALED(a_full_disk_at_any_write_loses_nothing_acknowledged),
		SEALED(a_later_version_is_refused_by_number),
		SEALED(nothing_of_a_record_is_readable),
		SEALED(without_its_key_a_log_is_refused_and_left_as_it_is),
		SEALED(the_header_of_a_sealed_segment_may_be_lost),
		SEALED(a_record_altered_on_purpose_is_not_believed),
		CASE(segments_of_all_keys_are_read_and_none_is_continued),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
