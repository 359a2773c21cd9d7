/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "store/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

static int dir = -1;

static int set_up(void **state)
{
	int r = make_scratch(state);
	dir = r == 0 ? open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return dir < 0;
}

static int tear_down(void **state)
{
	(void)close(dir);
	return remove_scratch(state);
}

static struct block_id id_of(unsigned n)
{
	struct block_id id;
	memset(&id, (int)n, sizeof(id));
	return id;
}

/* n blocks, n / 2 records kept. */
static void make(struct manifest *m, unsigned n)
{
	*m = (struct manifest){ .store = id_of(0xab), .key_seed = 0xfedcba9876543210, .last_seq = 1000 };
	assert_int_equal(vec_reserve(NULL, &m->blocks, n), 0);
	assert_int_equal(vec_reserve(NULL, &m->kept, n), 0);
	for (unsigned i = 0; i < n; i++)
		m->blocks.data[m->blocks.n++] = id_of(i);
	for (unsigned i = 0; i < n / 2; i++)
		m->kept.data[m->kept.n++] = 900 + i;
}

static bool is_same(const struct manifest *a, const struct manifest *b)
{
	bool same = block_id_eq(&a->store, &b->store) && a->key_seed == b->key_seed && a->last_seq == b->last_seq &&
		    a->blocks.n == b->blocks.n && a->kept.n == b->kept.n;
	for (uint32_t i = 0; same && i < a->blocks.n; i++)
		same = block_id_eq(&a->blocks.data[i], &b->blocks.data[i]);
	for (uint32_t i = 0; same && i < a->kept.n; i++)
		same = a->kept.data[i] == b->kept.data[i];
	return same;
}

static void write_text(const void *text, size_t size)
{
	FILE *f = fopen(in_scratch("manifest"), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static size_t read_text(char out[static 65536])
{
	FILE *f = fopen(in_scratch("manifest"), "r");
	assert_non_null(f);
	size_t n = fread(out, 1, 65536, f);
	assert_int_equal(fclose(f), 0);
	return n;
}

static int read_it(struct manifest *ret, struct error *err)
{
	err->text[0] = 0;
	return manifest_read(dir, ret, err);
}

/* Body and a right checksum. */
static int read_body(const char *body, struct manifest *ret, struct error *err)
{
	char text[4096];
	int n = snprintf(text, sizeof(text), "%scheck %016" PRIx64 "\n", body, block_hash(0, slice_str(body)));
	write_text(text, (size_t)n);
	return read_it(ret, err);
}

static void what_was_written_is_read(void **state)
{
	(void)state;
	struct manifest m, got;
	bool unsure;
	struct error err;
	for (unsigned n = 0; n < 100; n += 33) {
		make(&m, n);
		assert_int_equal(manifest_write(dir, &m, &unsure, &err), 0);
		assert_false(unsure);
		assert_int_equal(read_it(&got, &err), 0);
		assert_true(is_same(&m, &got));
		manifest_done(&m);
		manifest_done(&got);
	}
	assert_int_equal(access(in_scratch("manifest.tmp"), F_OK), -1);
	assert_int_equal(unlink(in_scratch("manifest")), 0);
	assert_int_equal(read_it(&got, &err), -ENOENT);
}

/* Whatever a disk makes of it: the old list, or none, never another one. */
static void a_damaged_one_is_never_another_list(void **state)
{
	(void)state;
	static char text[65536];
	struct manifest m, got;
	bool unsure;
	struct error err;
	unsigned n_read = 0;
	make(&m, 3);
	assert_int_equal(manifest_write(dir, &m, &unsure, &err), 0);
	size_t size = read_text(text);
	for (size_t n = 0; n < size; n++) {
		write_text(text, n);
		assert_int_equal(read_it(&got, &err), -EBADMSG);
	}
	for (size_t bit = 0; bit < size * 8; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		write_text(text, size);
		int r = read_it(&got, &err);
		if (r == 0) {
			/* A digit of the checksum in upper case. */
			assert_true(is_same(&m, &got));
			manifest_done(&got);
		}
		/* A bit of the version makes it no other version. */
		assert_true(r == 0 || r == -EBADMSG);
		n_read += r == 0;
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_true(n_read <= 16);
	memset(text + size, 'x', 100);
	write_text(text, size + 100);
	assert_int_equal(read_it(&got, &err), -EBADMSG);
	manifest_done(&m);
}

static void a_later_version_is_refused_by_number(void **state)
{
	(void)state;
	struct manifest got;
	struct error err;
	assert_int_equal(read_body("wick-manifest 2\nnothing we know\n", &got, &err), -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "wick-manifest 2"));
	assert_non_null(strstr(err.text, "version 1"));
	assert_int_equal(read_body("wick-manifest 10\n", &got, &err), -EPROTONOSUPPORT);
}

#define FIRST  "wick-manifest 1\n"
#define STORE  "store 000102030405060708090a0b0c0d0e0f key_seed=ff last_seq=7"
#define BLOCK  "block 101112131415161718191a1b1c1d1e1f"
#define BLOCK2 "block 201112131415161718191a1b1c1d1e1f"

static void words_of_the_future_are_passed_over(void **state)
{
	(void)state;
	struct manifest got;
	struct error err;
	assert_int_equal(read_body(FIRST STORE " colour=red\n"
					       "tenant a\n" BLOCK " sealed=key1\nkept 5 why=memory\n",
				   &got, &err),
			 0);
	assert_int_equal(got.last_seq, 7);
	assert_int_equal(got.key_seed, 0xff);
	assert_int_equal(got.blocks.n, 1);
	assert_int_equal(got.kept.n, 1);
	assert_int_equal(got.kept.data[0], 5);
	manifest_done(&got);
}

static void what_makes_no_sense_is_refused_though_its_checksum_is_right(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"wick-manifest",
		FIRST "\n",
		FIRST "store 00 key_seed=ff last_seq=7\n",
		FIRST "store\n",
		FIRST "store 000102030405060708090a0b0c0d0e0f key_seed=zz last_seq=7\n",
		FIRST "store 000102030405060708090a0b0c0d0e0f key_seed=ff last_seq=99999999999999999999999\n",
		FIRST "store 000102030405060708090A0B0C0D0E0F key_seed=ff last_seq=7\n",
		FIRST STORE "\nblock\n",
		FIRST STORE "\nblock 1011\n",
		FIRST STORE "\nblock 101112131415161718191a1b1c1d1e1g\n",
		FIRST STORE "\nkept\n",
		FIRST STORE "\nkept x\n",
		/* Counted twice, it would be shown twice. */
		FIRST STORE "\n" BLOCK "\n" BLOCK2 "\n" BLOCK "\n",
		/* Not of any store. */
		FIRST BLOCK "\n",
	};
	struct manifest got;
	struct error err;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (read_body(bad[i], &got, &err) != -EBADMSG)
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(a_damaged_one_is_never_another_list),
		cmocka_unit_test(a_later_version_is_refused_by_number),
		cmocka_unit_test(words_of_the_future_are_passed_over),
		cmocka_unit_test(what_makes_no_sense_is_refused_though_its_checksum_is_right),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
