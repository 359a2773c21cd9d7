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

int wal_reader_init(struct wal_reader *r, int fd, uint64_t salt, struct error *err)
{
	*r = (struct wal_reader){ .fd = fd, .salt = salt, .window = buf_of(WINDOW_MAX) };
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "%m");
	r->size = (uint64_t)st.st_size;
	r->pos = r->good_end = WAL_SEGMENT_HEADER_SIZE;
	if (r->size < WAL_SEGMENT_HEADER_SIZE) {
		/* Created, and the machine stopped before the header was written. */
		r->tail_bytes = r->size;
		r->pos = r->size;
		return 0;
	}
	const uint8_t *header;
	int e = view(r, 0, WAL_SEGMENT_HEADER_SIZE, &header);
	if (e < 0)
		return error_set(err, e, "cannot read: %s", strerror(-e));
	uint64_t own_salt;
	uint32_t version;
	e = wal_segment_header_read(header, &own_salt, &version);
	if (e == -EPROTONOSUPPORT)
		return error_set(err, e, "written by a later wick: log version %u, this program reads %u", version,
				 WAL_VERSION);
	if (e < 0) {
		r->n_damaged++;
		r->damaged_bytes += WAL_SEGMENT_HEADER_SIZE;
	} else {
		r->salt = own_salt;
	}
	return 0;
}

void wal_reader_done(struct wal_reader *r)
{
	buf_done(&r->window);
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
	e = view(r, off, size, &bytes);
	if (e < 0)
		return e;
	e = wal_record_read(slice_of(bytes, size), r->salt, ret);
	if (e == -EBADMSG)
		return 0;
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
			r->n_damaged++;
			r->damaged_bytes += off - r->pos;
		}
		/* The padding of the last record may be missing. */
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
