/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal_reader.h"

#include <errno.h>
#include <sys/stat.h>

#define WINDOW_SIZE ((size_t)1 << 20)
#define WINDOW_MAX  (WAL_BODY_MAX + WAL_META_MAX + 2 * WINDOW_SIZE)

static int read_all(int fd, uint8_t *data, size_t size, uint64_t off)
{
	while (size) {
		ssize_t n = pread(fd, data, size, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* shorter than fstat() said: somebody cuts it under us */
		data += n;
		size -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* *ret = `size` bytes at `off`, which lie within the file. */
static int view(struct wal_reader *r, uint64_t off, size_t size, const uint8_t **ret)
{
	if (off < r->window_off || off + size > r->window_off + r->window.n) {
		size_t want = size > WINDOW_SIZE ? size : WINDOW_SIZE;
		if (want > r->size - off)
			want = (size_t)(r->size - off);
		r->window.n = 0;
		uint8_t *room = buf_room(&r->window, want);
		if (!room)
			return -ENOMEM;
		int e = read_all(r->fd, room, want, off);
		if (e < 0)
			return e;
		r->window.n = want;
		r->window_off = off;
	}
	*ret = r->window.data + (off - r->window_off);
	return 0;
}

static int find_key(struct wal_reader *r, struct error *err)
{
	const struct master_key *master;
	if (!r->key_id[0])
		return 0;
	if (!r->keys)
		return error_set(err, -ENOKEY, "sealed with the key %s: give the key file with --encryption-keys",
				 r->key_id);
	int e = keyring_find(r->keys, slice_str(r->key_id), &master, err);
	if (e < 0)
		error_append(err, " (--encryption-keys)");
	return e == 0 ? wal_segment_key(master, r->salt, &r->key, err) : e;
}

static int read_header(struct wal_reader *r, struct error *err)
{
	size_t size = r->size < WAL_SEALED_HEADER_SIZE ? (size_t)r->size : WAL_SEALED_HEADER_SIZE;
	const uint8_t *header;
	uint64_t own_salt;
	uint32_t version;
	int e = size ? view(r, 0, size, &header) : -ENODATA;
	if (e < 0 && size)
		return error_set(err, e, "cannot read: %s", strerror(-e));
	if (size)
		e = wal_segment_header_read(slice_of(header, size), &own_salt, r->key_id, &version);
	if (e == -EPROTONOSUPPORT)
		return error_set(err, e, "written by a later wick: log version %u, this program reads up to %u",
				 version, WAL_VERSION_SEALED);
	r->is_cut = e == -ENODATA;
	r->is_header_lost = e == -EBADMSG;
	if (e == 0)
		r->salt = own_salt;
	return 0;
}

int wal_reader_init(struct wal_reader *r, int fd, uint64_t salt, const struct keyring *keys, struct error *err)
{
	*r = (struct wal_reader){ .fd = fd, .salt = salt, .keys = keys, .window = buf_of(WINDOW_MAX) };
	r->plain = buf_of(WAL_BODY_MAX + WAL_META_MAX);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "%m");
	r->size = (uint64_t)st.st_size;
	int e = read_header(r, err);
	if (e < 0)
		return e;
	r->pos = r->good_end = wal_segment_header_size(r->key_id);
	if (r->is_cut) {
		r->tail_bytes = r->size;
		r->pos = r->size;
	} else if (r->is_header_lost) {
		r->n_damaged++;
		r->damaged_bytes += WAL_SEGMENT_HEADER_SIZE;
	}
	return r->is_cut ? 0 : find_key(r, err);
}

void wal_reader_done(struct wal_reader *r)
{
	buf_done(&r->window);
	if (r->plain.data)
		explicit_bzero(r->plain.data, r->plain.cap);
	buf_done(&r->plain);
	sealing_key_done(&r->key);
}

/* With the key that opened one before, or else whatever opens this one. */
static int unseal(struct wal_reader *r, struct slice bytes, struct wal_record *ret)
{
	bool has_key = r->key.cipher;
	int e = wal_record_unseal(bytes, r->salt, has_key ? &r->key : NULL, &r->plain, ret);
	if (has_key)
		return e;
	const struct master_key *master;
	for (uint32_t i = 0; e == -EKEYREJECTED && r->keys && (master = keyring_at(r->keys, i)); i++) {
		e = wal_segment_key(master, r->salt, &r->key, NULL);
		if (e == 0)
			e = wal_record_unseal(bytes, r->salt, &r->key, &r->plain, ret);
		if (e != 0)
			sealing_key_done(&r->key);
	}
	return e;
}

/* Is there a whole record at `off`? 1 yes, 0 no, negative errno. *ret_size is
 * its padded size; *ret_known is false for a kind of a later version. */
static int try_record(struct wal_reader *r, uint64_t off, struct wal_record *ret, uint64_t *ret_size, bool *ret_known)
{
	if (r->size - off < WAL_HEADER_SIZE)
		return 0;
	const uint8_t *bytes;
	int e = view(r, off, WAL_HEADER_SIZE, &bytes);
	if (e < 0)
		return e;
	size_t size = wal_record_size(bytes);
	if (size == 0 || size > r->size - off)
		return 0;
	bool is_sealed = wal_record_is_sealed(bytes);
	/* A record that says otherwise than its segment is none of ours. */
	if (!r->is_header_lost && is_sealed != (r->key_id[0] != 0))
		return 0;
	e = view(r, off, size, &bytes);
	if (e < 0)
		return e;
	struct slice record = slice_of(bytes, size);
	e = is_sealed ? unseal(r, record, ret) : wal_record_read(record, r->salt, ret);
	if (e == -EBADMSG)
		return 0;
	if (e < 0 && e != -EPROTONOSUPPORT) {
		r->bad_off = off;
		return e;
	}
	*ret_known = e == 0;
	*ret_size = size + wal_padding(size);
	return 1;
}

int wal_reader_next(struct wal_reader *r, struct wal_record *ret)
{
	uint64_t off = r->pos;
	while (off < r->size) {
		struct wal_record record;
		uint64_t size;
		bool known;
		int found = try_record(r, off, &record, &size, &known);
		if (found < 0)
			return found;
		if (!found) {
			off += 8;
			continue;
		}
		if (off > r->pos) {
			/* What follows a lost header belongs to it. */
			r->n_damaged += !(r->is_header_lost && r->pos == WAL_SEGMENT_HEADER_SIZE);
			r->damaged_bytes += off - r->pos;
		}
		/* The padding of the last record may be missing. */
		r->record_off = off;
		r->pos = r->good_end = off + size;
		off = r->pos;
		if (known) {
			*ret = record;
			return 1;
		}
		r->n_unknown++;
	}
	if (r->size > r->pos)
		r->tail_bytes = r->size - r->pos;
	r->pos = r->size > r->pos ? r->size : r->pos;
	return 0;
}
