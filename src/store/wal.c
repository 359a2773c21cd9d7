/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal.h"

#include "store/wal_reader.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>

#define SEGMENTS_MAX 65536
#define HEAD_MAX     (WAL_HEADER_SIZE + WAL_META_MAX + WAL_BODY_MAX + SEAL_EXTRA_SIZE)
#define HEAD_KEPT    ((size_t)1 << 20)

struct segment {
	uint32_t number;
	bool has_unknown; /* records of a later version */
	uint64_t salt;
	uint64_t size;	   /* of a closed one */
	uint64_t last_seq; /* 0: it holds no record */
};

struct wal {
	char dir[PATH_MAX - 64];
	int dir_fd;
	uint64_t segment_size;
	VEC(struct segment) segments;
	uint32_t next_number;
	uint64_t next_seq;
	uint64_t closed_bytes; /* of the segments before the one written */
	struct wal_report report;
	const struct keyring *keys;
	const struct master_key *writer; /* of the segment being written; keys may get another one meanwhile */

	/* Reading: segments.data[reading] */
	uint32_t reading;
	bool reader_open;
	struct wal_reader reader;

	/* Writing: fd = -1 until the next batch opens a segment. */
	int fd;
	uint64_t salt;
	struct sealing_key key; /* of that segment; no cipher: it is not sealed */
	uint64_t synced, end;	/* batch = [synced, end) */
	struct buf head;	/* scratch of one append */
};

static void segment_name(const struct segment *s, char out[static 64])
{
	(void)snprintf(out, 64, "%08" PRIx32 "-%016" PRIx64 ".wal", s->number, s->salt);
}

static int compare_segment(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int list_segments(struct wal *w, struct error *err)
{
	int fd = dup(w->dir_fd);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fd(&fd);
		return error_set(err, -errno, "%s: %m", w->dir);
	}
	int r = 0;
	const struct dirent *e;
	while (r == 0 && (e = readdir(d))) {
		struct segment s = { 0 };
		char again[64];
		if (sscanf(e->d_name, "%" SCNx32 "-%" SCNx64 ".wal", &s.number, &s.salt) != 2)
			continue;
		segment_name(&s, again);
		if (strcmp(again, e->d_name) != 0)
			continue;
		if (w->segments.n == SEGMENTS_MAX)
			r = error_set(err, -E2BIG, "%s: more than %d segments", w->dir, SEGMENTS_MAX);
		else
			r = vec_reserve(NULL, &w->segments, 1);
		if (r == 0)
			w->segments.data[w->segments.n++] = s;
	}
	(void)closedir(d);
	if (w->segments.n)
		qsort(w->segments.data, w->segments.n, sizeof(struct segment), compare_segment);
	w->next_number = w->segments.n ? w->segments.data[w->segments.n - 1].number + 1 : 1;
	return r;
}

int wal_open(const char *dir, uint64_t segment_size, uint64_t last_seq, struct wal **ret, struct error *err)
{
	if (strlen(dir) >= PATH_MAX - 64)
		return error_set(err, -ENAMETOOLONG, "%s: the path is too long", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %m", dir);
	_cleanup_(wal_free)
	struct wal *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	(void)snprintf(w->dir, sizeof(w->dir), "%s", dir);
	w->fd = -1;
	w->next_seq = last_seq + 1;
	w->segment_size = segment_size;
	w->head = buf_of(HEAD_MAX);
	w->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0)
		return error_set(err, -errno, "%s: %m", dir);
	int r = list_segments(w, err);
	if (r < 0)
		return r;
	*ret = take_ptr(w);
	return 0;
}

void wal_free(struct wal **w)
{
	if (!*w)
		return;
	if ((*w)->reader_open) {
		wal_reader_done(&(*w)->reader);
		close_fd(&(*w)->reader.fd);
	}
	close_fd(&(*w)->fd);
	close_fd(&(*w)->dir_fd);
	sealing_key_done(&(*w)->key);
	vec_done(NULL, &(*w)->segments);
	buf_done(&(*w)->head);
	free(*w);
	*w = NULL;
}

void wal_use_keys(struct wal *w, const struct keyring *keys)
{
	assert(w->reading == 0 && !w->reader_open && w->fd < 0);
	w->keys = keys;
}

static int reader_start(struct wal *w, struct error *err)
{
	const struct segment *s = &w->segments.data[w->reading];
	char name[64];
	segment_name(s, name);
	int fd = openat(w->dir_fd, name, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s/%s: %m", w->dir, name);
	int r = wal_reader_init(&w->reader, fd, s->salt, w->keys, err);
	if (r < 0) {
		error_prefix(err, "%s/%s", w->dir, name);
		wal_reader_done(&w->reader);
		close_fd(&fd);
		return r;
	}
	w->reader_open = true;
	return 0;
}

static void choose_writer(struct wal *w)
{
	w->writer = w->keys ? keyring_writer(w->keys) : NULL;
}

static const char *writer_key_id(const struct wal *w)
{
	return w->writer ? w->writer->id : "";
}

static int take_writer_key(struct wal *w, uint64_t salt, struct error *err)
{
	sealing_key_done(&w->key);
	return w->writer ? wal_segment_key(w->writer, salt, &w->key, err) : 0;
}

/* What stands behind the last good record of the last segment was never
 * acknowledged and is cut. If the rest is whole, not yet full and sealed as what
 * is written now, the segment goes on being written. */
static int adopt_last(struct wal *w, struct segment *s, int fd, struct error *err)
{
	const struct wal_reader *reader = &w->reader;
	bool has_header = !reader->is_cut;
	uint64_t end = has_header ? reader->good_end : 0;
	if (end != reader->size && (ftruncate(fd, (off_t)end) < 0 || fdatasync(fd) < 0)) {
		int r = error_set(err, -errno, "%s: cannot cut the torn end of the last segment: %m", w->dir);
		close_fd(&fd);
		return r;
	}
	s->size = end;
	choose_writer(w);
	if (!has_header || reader->n_damaged || end >= w->segment_size ||
	    strcmp(reader->key_id, writer_key_id(w)) != 0) {
		w->closed_bytes += end;
		close_fd(&fd);
		return 0;
	}
	int r = take_writer_key(w, reader->salt, err);
	if (r < 0) {
		close_fd(&fd);
		return r;
	}
	w->fd = fd;
	w->salt = reader->salt;
	w->synced = w->end = end;
	return 0;
}

static int reader_finish(struct wal *w, struct error *err)
{
	struct wal_reader *reader = &w->reader;
	struct segment *segment = &w->segments.data[w->reading];
	bool last = w->reading + 1 == w->segments.n;
	w->report.n_segments++;
	w->report.n_damaged += reader->n_damaged;
	w->report.damaged_bytes += reader->damaged_bytes;
	w->report.n_unknown += reader->n_unknown;
	segment->has_unknown = reader->n_unknown > 0;
	int fd = take_fd(reader->fd), r = 0;
	if (last) {
		w->report.torn_bytes += reader->tail_bytes;
		r = adopt_last(w, segment, fd, err);
	} else {
		if (reader->tail_bytes) {
			w->report.n_damaged++;
			w->report.damaged_bytes += reader->tail_bytes;
		}
		segment->size = reader->size;
		w->closed_bytes += reader->size;
		close_fd(&fd);
	}
	wal_reader_done(reader);
	w->reader_open = false;
	w->reading++;
	return r;
}

static int reading_failed(const struct wal *w, int r, struct error *err)
{
	const struct wal_reader *reader = &w->reader;
	char name[64];
	segment_name(&w->segments.data[w->reading], name);
	if (r != -EKEYREJECTED)
		return error_set(err, r, "%s/%s: cannot read: %s", w->dir, name, strerror(-r));
	if (!reader->key_id[0])
		return error_set(err, r,
				 "%s/%s: the segment's header is damaged, and no key opens the record at byte %" PRIu64
				 ": give all keys with --encryption-keys",
				 w->dir, name, reader->bad_off);
	return error_set(err, r,
			 "%s/%s: the key %s of --encryption-keys does not open the record at byte %" PRIu64
			 ": it is not the one that the log was sealed with, or the record was altered",
			 w->dir, name, reader->key_id, reader->bad_off);
}

int wal_next(struct wal *w, struct wal_record *ret, struct error *err)
{
	while (w->reading < w->segments.n) {
		int r = w->reader_open ? 0 : reader_start(w, err);
		if (r < 0)
			return r;
		r = wal_reader_next(&w->reader, ret);
		if (r < 0)
			return reading_failed(w, r, err);
		if (r == 1) {
			w->report.n_records++;
			w->report.n_bytes += ret->body.size;
			if (ret->seq >= w->next_seq)
				w->next_seq = ret->seq + 1;
			if (ret->seq > w->segments.data[w->reading].last_seq)
				w->segments.data[w->reading].last_seq = ret->seq;
			return 1;
		}
		r = reader_finish(w, err);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct wal_report *wal_get_report(const struct wal *w)
{
	return &w->report;
}

static int write_at(int fd, const void *data, size_t size, uint64_t off)
{
	const uint8_t *p = data;
	while (size) {
		ssize_t n = pwrite(fd, p, size, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}

/* A segment that did not come to be leaves no file behind. */
static int segment_create(struct wal *w, const struct segment *s, const char *name)
{
	_cleanup_(close_fd)
	int fd = openat(w->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	uint8_t header[WAL_SEALED_HEADER_SIZE];
	const char *key_id = writer_key_id(w);
	if (key_id[0])
		wal_sealed_header_write(s->salt, key_id, header);
	else
		wal_segment_header_write(s->salt, header);
	int r = write_at(fd, header, wal_segment_header_size(key_id), 0);
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	/* Without this the file itself could be gone after a power cut. */
	if (r == 0 && fsync(w->dir_fd) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(w->dir_fd, name, 0);
		return r;
	}
	w->fd = take_fd(fd);
	return 0;
}

static int segment_open_next(struct wal *w, struct error *err)
{
	struct segment s = { .number = w->next_number };
	if (getrandom(&s.salt, sizeof(s.salt), 0) != (ssize_t)sizeof(s.salt))
		return error_set(err, -EIO, "no random numbers: %m");
	char name[64];
	segment_name(&s, name);
	choose_writer(w);
	int r = vec_reserve(NULL, &w->segments, 1);
	if (r == 0)
		r = take_writer_key(w, s.salt, NULL);
	if (r == 0)
		r = segment_create(w, &s, name);
	if (r < 0)
		return error_set(err, r, "%s/%s: cannot create: %s", w->dir, name, strerror(-r));
	w->next_number++;
	w->segments.data[w->segments.n++] = s;
	w->reading = w->segments.n;
	w->salt = s.salt;
	w->synced = w->end = wal_segment_header_size(writer_key_id(w));
	return 0;
}

static void segment_retire(struct wal *w, uint64_t size)
{
	close_fd(&w->fd);
	w->fd = -1;
	w->closed_bytes += size;
	w->segments.data[w->segments.n - 1].size = size;
	w->synced = w->end = 0;
}

void wal_rotate(struct wal *w)
{
	assert(w->synced == w->end);
	if (w->fd >= 0 && w->end > wal_segment_header_size(writer_key_id(w)))
		segment_retire(w, w->end);
}

static bool is_needed(const struct segment *s, uint64_t last_seq, const uint64_t *kept, uint32_t n_kept, uint64_t after)
{
	bool needed = s->last_seq > last_seq || s->has_unknown;
	for (uint32_t i = 0; !needed && i < n_kept; i++)
		needed = kept[i] > after && kept[i] <= s->last_seq;
	return needed;
}

int wal_drop(struct wal *w, uint64_t last_seq, const uint64_t *kept, uint32_t n_kept, struct error *err)
{
	uint32_t out = 0, n = w->segments.n, n_closed = w->fd >= 0 ? n - 1 : n;
	uint64_t after = 0; /* last record of the segments before */
	int r = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct segment s = w->segments.data[i];
		char name[64];
		segment_name(&s, name);
		bool needed = i >= n_closed || is_needed(&s, last_seq, kept, n_kept, after);
		if (s.last_seq > after)
			after = s.last_seq;
		if (!needed && unlinkat(w->dir_fd, name, 0) < 0 && errno != ENOENT) {
			r = error_set(err, -errno, "%s/%s: cannot be removed: %m", w->dir, name);
			needed = true;
		}
		if (needed)
			w->segments.data[out++] = s;
		else
			w->closed_bytes -= s.size;
	}
	w->segments.n = w->reading = out;
	/* Without this they may be there again after a power cut, to be skipped then. */
	if (out != n && fsync(w->dir_fd) < 0 && r == 0)
		r = error_set(err, -errno, "%s: cannot sync: %m", w->dir);
	return r;
}

int wal_probe(struct wal *w, struct error *err)
{
	if (w->fd >= 0 && w->synced == w->end && w->end >= w->segment_size)
		segment_retire(w, w->end);
	return w->fd >= 0 ? 0 : segment_open_next(w, err);
}

/* The record as it is written, but for its padding: all of it in `head`, or what leads the body. */
static int write_head(struct wal *w, const struct wal_record *record, struct slice *ret_body, struct error *err)
{
	w->head.n = 0;
	w->head.failed = false;
	*ret_body = record->body;
	if (w->key.cipher) {
		*ret_body = (struct slice){ 0 };
		return wal_record_seal(record, w->salt, &w->key, &w->head, err);
	}
	wal_record_write(record, w->salt, &w->head);
	return w->head.failed ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static int write_record(struct wal *w, struct slice body, struct error *err)
{
	static const uint8_t zeros[8];
	size_t size = w->head.n + body.size;
	uint64_t at = w->end;
	/* Counted before it is written: a part of it may be there on failure. */
	w->end = at + size + wal_padding(size);
	int r = write_at(w->fd, w->head.data, w->head.n, at);
	if (r == 0)
		r = write_at(w->fd, body.data, body.size, at + w->head.n);
	if (r == 0)
		r = write_at(w->fd, zeros, wal_padding(size), at + size);
	return r < 0 ? error_set(err, r, "%s: cannot write: %s", w->dir, strerror(-r)) : 0;
}

int wal_append(struct wal *w, struct wal_record *record, struct error *err)
{
	assert(w->reading == w->segments.n && record->body.size <= WAL_BODY_MAX);
	struct slice body;
	int r = wal_probe(w, err);
	if (r < 0)
		return r;
	record->seq = w->next_seq;
	r = write_head(w, record, &body, err);
	if (r == 0)
		r = write_record(w, body, err);
	/* A large record leaves no large buffer behind. */
	if (w->head.cap > HEAD_KEPT)
		buf_done(&w->head);
	w->head.max = HEAD_MAX;
	if (r == 0)
		w->segments.data[w->segments.n - 1].last_seq = w->next_seq++;
	return r;
}

int wal_sync(struct wal *w, struct error *err)
{
	if (w->synced == w->end)
		return 0;
	if (fdatasync(w->fd) < 0) {
		int r = error_set(err, -errno, "%s: cannot sync: %m", w->dir);
		uint64_t synced = w->synced;
		/* Best effort: if the cut fails too, replay meets records that were
		 * never acknowledged, which is allowed. */
		if (ftruncate(w->fd, (off_t)synced) == 0)
			(void)fdatasync(w->fd);
		segment_retire(w, synced);
		return r;
	}
	w->synced = w->end;
	return 0;
}

void wal_rollback(struct wal *w)
{
	if (w->fd < 0 || w->synced == w->end)
		return;
	if (ftruncate(w->fd, (off_t)w->synced) < 0)
		segment_retire(w, w->synced);
	else
		w->end = w->synced;
}

uint64_t wal_bytes(const struct wal *w)
{
	return w->closed_bytes + w->end;
}
