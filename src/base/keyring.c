/* SPDX-License-Identifier: Apache-2.0 */
#include "base/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct keyring {
	_Atomic uint32_t n, writer; /* how many; which of them */
	struct master_key key[KEYRING_MAX];
	uint32_t line[KEYRING_MAX];	     /* where each was read */
	uint8_t text[KEYRING_TEXT_SIZE + 1]; /* while a file is read */
};

/* Pages of their own: a lock and its end concern nothing else. */
static int ring_new(struct keyring **ret, struct error *err)
{
	void *p = mmap(NULL, sizeof(**ret), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return error_set(err, -ENOMEM, "out of memory");
	/* Where these fail, keys are as safe as the rest of our memory. */
	(void)mlock(p, sizeof(**ret));
	(void)madvise(p, sizeof(**ret), MADV_DONTDUMP);
	*ret = p;
	return 0;
}

void keyring_free(struct keyring **k)
{
	if (!*k)
		return;
	explicit_bzero(*k, sizeof(**k));
	(void)munmap(*k, sizeof(**k));
	*k = NULL;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice take_word(struct slice *line)
{
	size_t from = 0;
	while (from < line->size && is_blank(line->data[from]))
		from++;
	size_t to = from;
	while (to < line->size && !is_blank(line->data[to]))
		to++;
	struct slice word = { line->data + from, to - from };
	*line = slice_of(line->data + to, line->size - to);
	return word;
}

static bool is_id_character(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

static int check_id(struct slice word, struct error *err)
{
	if (word.size > KEY_ID_MAX)
		return error_set(err, -EBADMSG, "the id has %zu characters: the limit is %d", word.size, KEY_ID_MAX);
	for (size_t i = 0; i < word.size; i++)
		if (!is_id_character(word.data[i]))
			return error_set(err, -EBADMSG, "an id holds only A-Z a-z 0-9 . _ -");
	return 0;
}

static int hex_digit(uint8_t c)
{
	uint8_t low = c | 0x20;
	return c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static int take_key(struct slice word, struct master_key *ret, struct error *err)
{
	if (word.size != 2 * KEY_SIZE)
		return error_set(err, -EBADMSG,
				 "the key has %zu characters, not %d hexadecimal digits: "
				 "openssl rand -hex %d makes one",
				 word.size, 2 * KEY_SIZE, KEY_SIZE);
	for (size_t i = 0; i < KEY_SIZE; i++) {
		int high = hex_digit(word.data[2 * i]), low = hex_digit(word.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return error_set(err, -EBADMSG, "the key holds what is no hexadecimal digit");
		ret->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* Two keys of one id could not be told apart; one key under two ids is a
 * replacement that replaces nothing. */
static int check_new(const struct keyring *k, const struct master_key *key, struct error *err)
{
	for (uint32_t i = 0; i < k->n; i++) {
		if (strcmp(k->key[i].id, key->id) == 0)
			return error_set(err, -EBADMSG, "id %s stands on line %u already", key->id, k->line[i]);
		if (memcmp(k->key[i].bytes, key->bytes, KEY_SIZE) == 0)
			return error_set(err, -EBADMSG, "the key of %s is that of %s on line %u: make a new one",
					 key->id, k->key[i].id, k->line[i]);
	}
	return 0;
}

static int take_line(struct keyring *k, struct slice line, uint32_t number, struct error *err)
{
	const uint8_t *comment = line.size ? memchr(line.data, '#', line.size) : NULL;
	if (comment)
		line.size = (size_t)(comment - line.data);
	struct slice id = take_word(&line), key = take_word(&line), more = take_word(&line);
	if (id.size == 0)
		return 0;
	if (key.size == 0 || more.size)
		return error_set(err, -EBADMSG, "expected an id, a blank and %d hexadecimal digits", 2 * KEY_SIZE);
	if (k->n == KEYRING_MAX)
		return error_set(err, -E2BIG, "more than %d keys", KEYRING_MAX);
	struct master_key *slot = &k->key[k->n];
	int r = check_id(id, err);
	if (r < 0)
		return r;
	memcpy(slot->id, id.data, id.size);
	r = take_key(key, slot, err);
	if (r == 0)
		r = check_new(k, slot, err);
	k->line[k->n] = number;
	if (r == 0)
		k->n++;
	return r;
}

static int take_text(struct keyring *k, struct slice text, struct error *err)
{
	if (text.size > KEYRING_TEXT_SIZE)
		return error_set(err, -E2BIG, "larger than the limit of %d bytes", KEYRING_TEXT_SIZE);
	for (uint32_t number = 1; text.size; number++) {
		const uint8_t *newline = memchr(text.data, '\n', text.size);
		size_t size = newline ? (size_t)(newline - text.data) : text.size, taken = size + (newline != NULL);
		int r = take_line(k, slice_of(text.data, size), number, err);
		if (r < 0) {
			error_prefix(err, "line %u", number);
			return r;
		}
		text = slice_of(text.data + taken, text.size - taken);
	}
	if (k->n == 0)
		return error_set(err, -EBADMSG, "holds no key: a line is an id, a blank and %d hexadecimal digits",
				 2 * KEY_SIZE);
	return 0;
}

int keyring_parse(struct slice text, struct keyring **ret, struct error *err)
{
	_cleanup_(keyring_free)
	struct keyring *k = NULL;
	int r = ring_new(&k, err);
	if (r == 0)
		r = take_text(k, text, err);
	if (r < 0)
		return r;
	*ret = take_ptr(k);
	return 0;
}

static int open_private(const char *path, struct error *err)
{
	struct stat st;
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "is no regular file");
	if (st.st_mode & 077)
		return error_set(err, -EACCES, "others than its owner may use it (mode %04o): chmod 600 %s",
				 st.st_mode & 07777U, path);
	return take_fd(fd);
}

/* Straight into locked memory: no copy is left elsewhere. */
static int read_all(int fd, struct keyring *k, size_t *ret_size, struct error *err)
{
	size_t size = 0;
	for (ssize_t n; size < sizeof(k->text); size += (size_t)n) {
		n = read(fd, k->text + size, sizeof(k->text) - size);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return error_set(err, -errno, "%s", strerror(errno));
		else if (n == 0)
			break;
	}
	*ret_size = size;
	return 0;
}

int keyring_read_file(const char *path, struct keyring **ret, struct error *err)
{
	size_t size = 0;
	_cleanup_(keyring_free)
	struct keyring *k = NULL;
	_cleanup_(close_fd)
	int fd = open_private(path, err);
	int r = fd < 0 ? fd : ring_new(&k, err);
	if (r == 0)
		r = read_all(fd, k, &size, err);
	if (r == 0)
		r = take_text(k, slice_of(k->text, size), err);
	if (r < 0) {
		error_prefix(err, "%s", path);
		return r;
	}
	explicit_bzero(k->text, size);
	*ret = take_ptr(k);
	return 0;
}

/* Its place in `k`; k->n: it is new. */
static int find_place(const struct keyring *k, const struct master_key *key, uint32_t *ret, struct error *err)
{
	for (*ret = 0; *ret < k->n; ++*ret) {
		const struct master_key *old = &k->key[*ret];
		bool same_id = strcmp(old->id, key->id) == 0, same = memcmp(old->bytes, key->bytes, KEY_SIZE) == 0;
		if (same_id && same)
			return 0;
		if (same_id)
			return error_set(err, -EBADMSG, "id %s has another key than before: give it a new id", key->id);
		if (same)
			return error_set(err, -EBADMSG, "the key of %s is that of %s: make a new one", key->id,
					 old->id);
	}
	return 0;
}

static int take_over(struct keyring *k, const struct keyring *fresh, struct error *err)
{
	uint32_t place[KEYRING_MAX], n = k->n;
	for (uint32_t i = 0; i < fresh->n; i++) {
		int r = find_place(k, &fresh->key[i], &place[i], err);
		if (r < 0)
			return r;
		if (place[i] == k->n)
			place[i] = n++;
	}
	if (n > KEYRING_MAX)
		return error_set(err, -E2BIG, "more than %d keys with those of before: restart instead", KEYRING_MAX);
	for (uint32_t i = 0; i < fresh->n; i++)
		if (place[i] >= k->n)
			k->key[place[i]] = fresh->key[i];
	/* Others look only at those that it counts. */
	k->n = n;
	k->writer = place[0];
	return 0;
}

int keyring_reload(struct keyring *k, const char *path, struct error *err)
{
	_cleanup_(keyring_free)
	struct keyring *fresh = NULL;
	int r = keyring_read_file(path, &fresh, err);
	if (r < 0)
		return r;
	r = take_over(k, fresh, err);
	if (r < 0)
		error_prefix(err, "%s", path);
	return r;
}

int keyring_read_environment(const char *name, struct keyring **ret, struct error *err)
{
	char *value = getenv(name);
	if (!value)
		return error_set(err, -ENOENT, "%s is not set", name);
	int r = keyring_parse(slice_str(value), ret, err);
	explicit_bzero(value, strlen(value));
	(void)unsetenv(name);
	if (r < 0)
		error_prefix(err, "%s", name);
	return r;
}

int keyring_load(const char *path, struct keyring **ret, struct error *err)
{
	_cleanup_(keyring_free)
	struct keyring *k = NULL;
	bool is_set = getenv(KEYRING_VARIABLE) != NULL;
	/* Wiped in any case. */
	int r = is_set ? keyring_read_environment(KEYRING_VARIABLE, &k, err) : 0;
	if (r == 0 && is_set && path[0])
		r = error_set(err, -EINVAL, "keys stand in %s and in " KEYRING_VARIABLE ": give one of them", path);
	if (r == 0 && path[0])
		r = keyring_read_file(path, &k, err);
	if (r == 0)
		*ret = take_ptr(k);
	return r;
}

const struct master_key *keyring_writer(const struct keyring *k)
{
	/* gcc 12 reads an _Atomic that is an index as if it were none. */
	uint32_t i = atomic_load(&k->writer);
	return &k->key[i];
}

const struct master_key *keyring_at(const struct keyring *k, uint32_t i)
{
	return i < k->n ? &k->key[i] : NULL;
}

int keyring_find(const struct keyring *k, struct slice id, const struct master_key **ret, struct error *err)
{
	for (uint32_t i = 0; i < k->n; i++) {
		if (slice_eq(slice_str(k->key[i].id), id)) {
			*ret = &k->key[i];
			return 0;
		}
	}
	/* An id on disk may be damaged: it is shown only where it is one. */
	if (id.size == 0 || check_id(id, NULL) < 0)
		return error_set(err, -ENOKEY, "what should be a key's id is none");
	return error_set(err, -ENOKEY, "no key with the id %.*s: put its line back into the key file", SLICE_FMT(id));
}
