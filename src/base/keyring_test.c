/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "base/buf.h"
#include "base/keyring.h"
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define HEX_C "fefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe"

/* The bytes from `first` on. */
static void assert_key(const struct keyring *k, const char *id, uint8_t first)
{
	const struct master_key *key = NULL;
	struct error err = { "" };
	if (keyring_find(k, slice_str(id), &key, &err) < 0)
		fail_msg("%s: %s", id, err.text);
	assert_string_equal(key->id, id);
	for (unsigned i = 0; i < KEY_SIZE; i++)
		assert_int_equal(key->bytes[i], first + i);
}

/* Without the old key old data could not be read, with the wrong first one new
 * data would be sealed with a key that is to go. */
static void the_first_writes_and_all_read(void **state)
{
	(void)state;
	static const char text[] = "# newest first\n"
				   "\n"
				   "  2026-b\t" HEX_B "  # since May\r\n"
				   "2026.a_ " HEX_A;
	struct keyring *k = NULL;
	assert_int_equal(keyring_parse(slice_str(text), &k, NULL), 0);
	assert_string_equal(keyring_writer(k)->id, "2026-b");
	assert_key(k, "2026-b", 0xa0);
	assert_key(k, "2026.a_", 0x00);
	keyring_free(&k);
	assert_null(k);
}

static void unknown_ids_are_named(void **state)
{
	(void)state;
	const struct master_key *key = NULL;
	struct keyring *k = NULL;
	struct error err = { "" };
	assert_int_equal(keyring_parse(slice_str("b " HEX_B), &k, NULL), 0);
	assert_int_equal(keyring_find(k, slice_str("2024-a"), &key, &err), -ENOKEY);
	assert_string_equal(err.text, "no key with the id 2024-a: put its line back into the key file");
	/* From a damaged file: nothing that could move a terminal's cursor. */
	static const char *const damaged[] = { "", "\x1b[2J", "b ", "123456789012345678901234567890123" };
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		assert_int_equal(keyring_find(k, slice_str(damaged[i]), &key, &err), -ENOKEY);
		assert_string_equal(err.text, "what should be a key's id is none");
	}
	assert_int_equal(keyring_find(k, slice_of("b", 2), &key, &err), -ENOKEY);
	assert_null(key);
	keyring_free(&k);
}

/* A key file that is not understood must not become another key. */
static void mistakes_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "", "holds no key: a line is an id, a blank and 64 hexadecimal digits" },
		{ "# a " HEX_A "\n\n", "holds no key: a line is an id, a blank and 64 hexadecimal digits" },
		{ "a", "line 1: expected an id, a blank and 64 hexadecimal digits" },
		{ HEX_A, "line 1: expected an id, a blank and 64 hexadecimal digits" },
		{ "\na #" HEX_A, "line 2: expected an id, a blank and 64 hexadecimal digits" },
		{ "a " HEX_A " b", "line 1: expected an id, a blank and 64 hexadecimal digits" },
		{ "a/b " HEX_A, "line 1: an id holds only A-Z a-z 0-9 . _ -" },
		{ "\xc3\xa4 " HEX_A, "line 1: an id holds only A-Z a-z 0-9 . _ -" },
		{ "a23456789012345678901234567890123 " HEX_A, "line 1: the id has 33 characters: the limit is 32" },
		{ "a 00", "line 1: the key has 2 characters, not 64 hexadecimal digits: openssl rand -hex 32 makes "
			  "one" },
		{ "a " HEX_A "0", "line 1: the key has 65 characters, not 64 hexadecimal digits: openssl rand -hex 32 "
				  "makes one" },
		{ "a g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
		  "line 1: the key holds what is no hexadecimal digit" },
		{ "a 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1:",
		  "line 1: the key holds what is no hexadecimal digit" },
		{ "a " HEX_A "\n# b\na " HEX_B, "line 3: id a stands on line 1 already" },
		{ "\nb " HEX_A "\na " HEX_A, "line 3: the key of a is that of b on line 2: make a new one" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct keyring *none = NULL;
		struct error err = { "" };
		assert_int_equal(keyring_parse(slice_str(rows[i].text), &none, &err), -EBADMSG);
		assert_string_equal(err.text, rows[i].error);
		assert_null(none);
	}
}

static void limits_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 20);
	struct keyring *k = NULL;
	struct error err = { "" };
	for (int i = 0; i < KEYRING_MAX; i++)
		buf_printf(&text, "%d %064x\n", i, i);
	assert_int_equal(keyring_parse(slice_of(text.data, text.n), &k, &err), 0);
	assert_string_equal(keyring_writer(k)->id, "0");
	keyring_free(&k);
	buf_add_str(&text, "more " HEX_C);
	assert_int_equal(keyring_parse(slice_of(text.data, text.n), &k, &err), -E2BIG);
	assert_string_equal(err.text, "line 65: more than 64 keys");
	assert_null(k);

	const char *path = in_scratch("large");
	text.n = 0;
	buf_add_str(&text, "a " HEX_A "\n");
	while (text.n < KEYRING_TEXT_SIZE)
		buf_add_byte(&text, '#');
	assert_int_equal(outfile_write(path, slice_of(text.data, text.n), true, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(keyring_read_file(path, &k, NULL), 0);
	assert_key(k, "a", 0);
	keyring_free(&k);
	buf_add_byte(&text, '#');
	assert_int_equal(outfile_write(path, slice_of(text.data, text.n), true, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(keyring_read_file(path, &k, &err), -E2BIG);
	assert_non_null(strstr(err.text, "large: larger than the limit of 16384 bytes"));
}

/* Keys that others can read protect nothing. */
static void files_of_others_are_refused(void **state)
{
	(void)state;
	static const mode_t refused[] = { 0644, 0640, 0604, 0620, 0602, 0660, 0601 }, good[] = { 0600, 0400, 0700 };
	const char *path = in_scratch("keys");
	struct keyring *k = NULL;
	assert_int_equal(outfile_write(path, slice_str("b " HEX_B "\na " HEX_A "\n"), true, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct error err = { "" };
		char expected[1024];
		assert_int_equal(chmod(path, refused[i]), 0);
		assert_int_equal(keyring_read_file(path, &k, &err), -EACCES);
		(void)snprintf(expected, sizeof(expected),
			       "%s: others than its owner may use it (mode %04o): chmod 600 %s", path, refused[i],
			       path);
		assert_string_equal(err.text, expected);
		assert_null(k);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(chmod(path, good[i]), 0);
		assert_int_equal(keyring_read_file(path, &k, NULL), 0);
		assert_key(k, "a", 0);
		keyring_free(&k);
	}
}

static void what_is_no_key_file_is_named(void **state)
{
	(void)state;
	struct keyring *none = NULL;
	struct error err = { "" };
	const char *path = in_scratch("absent");
	assert_int_equal(keyring_read_file(path, &none, &err), -ENOENT);
	assert_non_null(strstr(err.text, "absent: No such file or directory"));
	assert_int_equal(keyring_read_file(scratch, &none, &err), -EINVAL);
	assert_non_null(strstr(err.text, ": is no regular file"));
	path = in_scratch("pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(keyring_read_file(path, &none, &err), -EINVAL);
	assert_non_null(strstr(err.text, "pipe: is no regular file"));
	path = in_scratch("bad");
	assert_int_equal(outfile_write(path, slice_str("a\n"), true, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(keyring_read_file(path, &none, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "bad: line 1: expected an id"));
	assert_null(none);
}

/* Whether the key's text is in what /proc shows of our environment. */
static bool environment_shows(const char *hex)
{
	static char all[1 << 20];
	_cleanup_(close_fd)
	int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, all, sizeof(all));
	assert_true(n > 0 && (size_t)n < sizeof(all));
	return memmem(all, (size_t)n, hex, strlen(hex)) != NULL;
}

/* Children and whoever may read /proc would have the keys. */
/* Whoever holds a key goes on with it, and what it sealed is read; a mistake changes nothing. */
static void a_file_is_read_again_while_its_keys_are_used(void **state)
{
	(void)state;
	static const char *const mistakes[][2] = {
		{ "a " HEX_C "\n", "id a has another key than before" },
		{ "c " HEX_A "\n", "the key of c is that of a" },
		{ "b\n", "line 1" },
	};
	const char *path = in_scratch("again");
	struct keyring *k = NULL;
	struct error err = { "" };
	assert_int_equal(outfile_write(path, slice_str("a " HEX_A "\n"), true, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(keyring_read_file(path, &k, NULL), 0);
	const struct master_key *held = keyring_writer(k);
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		assert_int_equal(outfile_write(path, slice_str(mistakes[i][0]), true, NULL), 0);
		assert_int_equal(chmod(path, 0600), 0);
		assert_int_equal(keyring_reload(k, path, &err), -EBADMSG);
		assert_non_null(strstr(err.text, mistakes[i][1]));
		assert_ptr_equal(keyring_writer(k), held);
		assert_null(keyring_at(k, 1));
	}
	assert_int_equal(outfile_write(path, slice_str("b " HEX_B "\na " HEX_A "\n"), true, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(keyring_reload(k, path, &err), 0);
		assert_string_equal(keyring_writer(k)->id, "b");
		assert_key(k, "b", 0xa0);
		assert_key(k, "a", 0);
		assert_null(keyring_at(k, 2));
	}
	assert_string_equal(held->id, "a");
	/* What is taken out seals no more, and still opens. */
	assert_int_equal(outfile_write(path, slice_str("c " HEX_C "\n"), true, NULL), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(keyring_reload(k, path, &err), 0);
	assert_string_equal(keyring_writer(k)->id, "c");
	assert_key(k, "a", 0);
	keyring_free(&k);
}

static void the_environment_is_wiped(void **state)
{
	struct keyring *k = NULL;
	struct error err = { "" };
	(void)state;
	assert_true(environment_shows(HEX_C));
	assert_int_equal(keyring_read_environment("WICK_TEST_KEYS", &k, &err), 0);
	assert_string_equal(keyring_writer(k)->id, "c");
	assert_int_equal(keyring_writer(k)->bytes[31], 0xfe);
	keyring_free(&k);
	assert_false(environment_shows(HEX_C));
	assert_null(getenv("WICK_TEST_KEYS"));
	assert_int_equal(keyring_read_environment("WICK_TEST_KEYS", &k, &err), -ENOENT);
	assert_string_equal(err.text, "WICK_TEST_KEYS is not set");
	assert_int_equal(setenv("WICK_TEST_KEYS", "c", 1), 0);
	assert_int_equal(keyring_read_environment("WICK_TEST_KEYS", &k, &err), -EBADMSG);
	assert_string_equal(err.text, "WICK_TEST_KEYS: line 1: expected an id, a blank and 64 hexadecimal digits");
	assert_null(getenv("WICK_TEST_KEYS"));
}

int main(int argc, char **argv)
{
	/* /proc shows the environment that a program was started with. */
	if (!getenv("WICK_TEST_KEYS")) {
		(void)setenv("WICK_TEST_KEYS", "c " HEX_C, 1);
		(void)execv("/proc/self/exe", argv);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_writes_and_all_read),
		cmocka_unit_test(unknown_ids_are_named),
		cmocka_unit_test(mistakes_are_explained),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(files_of_others_are_refused),
		cmocka_unit_test(what_is_no_key_file_is_named),
		cmocka_unit_test(a_file_is_read_again_while_its_keys_are_used),
		cmocka_unit_test(the_environment_is_wiped),
	};
	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
