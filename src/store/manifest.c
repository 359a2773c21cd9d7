/* SPDX-License-Identifier: Apache-2.0 */
#include "store/manifest.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#define FIRST_LINE    "wick-manifest 1\n"
#define FILE_SIZE_MAX ((size_t)8 << 20)

void manifest_done(struct manifest *m)
{
	vec_done(NULL, &m->blocks);
	vec_done(NULL, &m->kept);
}

static int read_file(int dir, struct buf *out)
{
	_cleanup_(close_fd)
	int fd = openat(dir, "manifest", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		uint8_t *p = buf_room(out, 65536);
		if (!p)
			return -EBADMSG;
		ssize_t n = read(fd, p, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		out->n += (size_t)n;
	}
}

/* Takes a line without its newline. */
static bool next_line(struct slice *rest, struct slice *ret)
{
	const uint8_t *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
	if (!end)
		return false;
	*ret = slice_of(rest->data, (size_t)(end - rest->data));
	*rest = slice_of(end + 1, rest->size - ret->size - 1);
	return true;
}

static bool next_word(struct slice *line, struct slice *ret)
{
	while (line->size && *line->data == ' ')
		*line = slice_of(line->data + 1, line->size - 1);
	size_t n = 0;
	while (n < line->size && line->data[n] != ' ')
		n++;
	*ret = slice_of(line->data, n);
	*line = slice_of(line->data + n, line->size - n);
	return n > 0;
}

static bool parse_u64(struct slice text, int base, uint64_t *ret)
{
	char number[24];
	if (text.size == 0 || text.size >= sizeof(number))
		return false;
	memcpy(number, text.data, text.size);
	number[text.size] = 0;
	char *end;
	errno = 0;
	*ret = strtoull(number, &end, base);
	return errno == 0 && *end == 0;
}

/* The value of word "name=value"; false: it has another name. */
static bool value_of(struct slice word, const char *name, struct slice *ret)
{
	size_t n = strlen(name);
	if (!slice_has_prefix(word, name) || word.size <= n || word.data[n] != '=')
		return false;
	*ret = slice_of(word.data + n + 1, word.size - n - 1);
	return true;
}

static bool parse_store(struct manifest *m, struct slice line)
{
	struct slice word, value;
	if (!next_word(&line, &word) || !block_id_parse(word, &m->store))
		return false;
	bool ok = true;
	while (ok && next_word(&line, &word)) {
		if (value_of(word, "key_seed", &value))
			ok = parse_u64(value, 16, &m->key_seed);
		else if (value_of(word, "last_seq", &value))
			ok = parse_u64(value, 10, &m->last_seq);
	}
	return ok;
}

static int parse_line(struct manifest *m, struct slice line)
{
	struct slice word;
	struct block_id id;
	uint64_t seq;
	if (!next_word(&line, &word))
		return -EBADMSG;
	if (slice_eq(word, slice_str("store")))
		return parse_store(m, line) ? 0 : -EBADMSG;
	if (slice_eq(word, slice_str("block"))) {
		if (!next_word(&line, &word) || !block_id_parse(word, &id) || m->blocks.n == MANIFEST_MAX_BLOCKS)
			return -EBADMSG;
		int r = vec_reserve(NULL, &m->blocks, 1);
		if (r == 0)
			m->blocks.data[m->blocks.n++] = id;
		return r;
	}
	if (slice_eq(word, slice_str("kept"))) {
		if (!next_word(&line, &word) || !parse_u64(word, 10, &seq) || m->kept.n == MANIFEST_MAX_KEPT)
			return -EBADMSG;
		int r = vec_reserve(NULL, &m->kept, 1);
		if (r == 0)
			m->kept.data[m->kept.n++] = seq;
		return r;
	}
	return 0;
}

static int compare_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct block_id));
}

/* A block that is listed twice would be counted twice. */
static int check_blocks(const struct manifest *m)
{
	size_t size = m->blocks.n * sizeof(struct block_id);
	_cleanup_(free_ptr)
	struct block_id *sorted = malloc(size + 1);
	if (!sorted)
		return -ENOMEM;
	if (size)
		memcpy(sorted, m->blocks.data, size);
	qsort(sorted, m->blocks.n, sizeof(*sorted), compare_id);
	for (uint32_t i = 1; i < m->blocks.n; i++)
		if (block_id_eq(&sorted[i - 1], &sorted[i]))
			return -EBADMSG;
	return 0;
}

/* Whether the last line is the checksum of all before it, as in any version. */
static bool is_intact(struct slice text)
{
	struct slice word, rest;
	uint64_t check;
	if (text.size < 2 || text.data[text.size - 1] != '\n')
		return false;
	const uint8_t *end = memrchr(text.data, '\n', text.size - 1);
	size_t before = end ? (size_t)(end + 1 - text.data) : 0;
	rest = slice_of(text.data + before, text.size - before - 1);
	return next_word(&rest, &word) && slice_eq(word, slice_str("check")) && next_word(&rest, &word) &&
	       parse_u64(word, 16, &check) && check == block_hash(0, slice_of(text.data, before));
}

/* What is cut or damaged, be it in its version, is made anew; a whole one of another version is not ours to touch. */
static int check_version(struct slice text, struct error *err)
{
	struct slice line, word, number, all = text;
	if (!is_intact(text) || !next_line(&all, &line) || !next_word(&line, &word) ||
	    !slice_eq(word, slice_str("wick-manifest")) || !next_word(&line, &number))
		return -EBADMSG;
	return slice_eq(number, slice_str("1"))
		       ? 0
		       : error_set(err, -EPROTONOSUPPORT, "wick-manifest %.*s is not known: this wick reads version 1",
				   SLICE_FMT(number));
}

static int parse(struct manifest *m, struct slice text, struct error *err)
{
	int r = check_version(text, err);
	if (r < 0)
		return r;
	struct slice rest = text, line, word;
	bool has_store = false;
	(void)next_line(&rest, &line);
	while (next_line(&rest, &line)) {
		struct slice words = line;
		if (!next_word(&words, &word))
			return -EBADMSG;
		if (slice_eq(word, slice_str("check")))
			return has_store && rest.size == 0 ? check_blocks(m) : -EBADMSG;
		has_store = has_store || slice_eq(word, slice_str("store"));
		r = parse_line(m, line);
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

int manifest_parse(struct slice text, struct manifest *ret, struct error *err)
{
	_cleanup_(manifest_done)
	struct manifest m = { 0 };
	int r = parse(&m, text, err);
	if (r < 0)
		return r;
	*ret = m;
	m = (struct manifest){ 0 };
	return 0;
}

int manifest_read(int dir, struct manifest *ret, struct error *err)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(FILE_SIZE_MAX);
	int r = read_file(dir, &text);
	if (r == -ENOENT)
		return error_set(err, r, "there is no manifest");
	if (r == 0)
		r = manifest_parse(slice_of(text.data, text.n), ret, err);
	if (r < 0 && r != -EPROTONOSUPPORT)
		return error_set(err, r, "the manifest %s", r == -EBADMSG ? "is damaged" : "cannot be read");
	return r;
}

void manifest_format(const struct manifest *m, struct buf *out)
{
	char id[BLOCK_ID_HEX];
	buf_add_str(out, FIRST_LINE);
	block_id_format(&m->store, id);
	buf_printf(out, "store %s key_seed=%016" PRIx64 " last_seq=%" PRIu64 "\n", id, m->key_seed, m->last_seq);
	for (uint32_t i = 0; i < m->blocks.n; i++) {
		block_id_format(&m->blocks.data[i], id);
		buf_printf(out, "block %s\n", id);
	}
	for (uint32_t i = 0; i < m->kept.n; i++)
		buf_printf(out, "kept %" PRIu64 "\n", m->kept.data[i]);
	buf_printf(out, "check %016" PRIx64 "\n", block_hash(0, slice_of(out->data, out->n)));
}

int manifest_write(int dir, const struct manifest *m, bool *ret_unsure, struct error *err)
{
	*ret_unsure = false;
	_cleanup_(buf_done)
	struct buf text = buf_of(FILE_SIZE_MAX);
	manifest_format(m, &text);
	if (text.failed)
		return error_set(err, -ENOMEM, "no memory for the manifest");
	_cleanup_(close_fd)
	int fd = openat(dir, "manifest.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : fd_write_all(fd, text.data, text.n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && renameat(dir, "manifest.tmp", dir, "manifest") < 0)
		r = -errno;
	if (r == 0 && fsync(dir) < 0) {
		r = -errno;
		*ret_unsure = true;
	}
	return r < 0 ? error_set(err, r, "the manifest cannot be written: %s", strerror(-r)) : 0;
}
