/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a segment file: the reader ends, and what it takes for records
 * lies within the file. So that the fuzzer gets behind the hashes, the first
 * byte may ask for good records with the rest as damage between them, or for
 * the rest as metadata under a right hash. */
#include "store/wal_reader.h"

#include <assert.h>
#include <sys/mman.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SALT 0x1234567890abcdef

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Good record, the input's bytes, good record. */
static void write_sandwich(struct buf *out, const uint8_t *data, size_t size)
{
	uint8_t header[WAL_SEGMENT_HEADER_SIZE];
	static const uint8_t zeros[8];
	wal_segment_header_write(SALT, header);
	buf_add(out, header, sizeof(header));
	for (int i = 0; i < 2; i++) {
		struct wal_record r = { .seq = (uint64_t)i + 1, .body = slice_of(data, size < 64 ? size : 64) };
		r.intake.label[SERIES_SERVICE] = slice_str("api");
		size_t from = out->n;
		wal_record_write(&r, SALT, out);
		buf_add(out, r.body.data, r.body.size);
		buf_add(out, zeros, wal_padding(out->n - from));
		if (i == 0) {
			buf_add(out, data, size);
			buf_add(out, zeros, wal_padding(out->n));
		}
	}
}

/* The input is the metadata of a record whose hash is right. */
static void write_meta(struct buf *out, const uint8_t *data, size_t size)
{
	struct wal_record r = { .seq = 1 };
	uint8_t header[WAL_SEGMENT_HEADER_SIZE];
	wal_segment_header_write(SALT, header);
	buf_add(out, header, sizeof(header));
	wal_record_write(&r, SALT, out);
	uint32_t meta_size = (uint32_t)(size > WAL_META_MAX ? WAL_META_MAX : size);
	buf_add(out, data, meta_size);
	if (out->failed)
		return;
	uint8_t *record = out->data + WAL_SEGMENT_HEADER_SIZE;
	memcpy(record + 8, &meta_size, sizeof(meta_size));
	memset(record + 24, 0, 8);
	uint64_t hash = XXH3_64bits_withSeed(record, WAL_HEADER_SIZE + meta_size, SALT);
	memcpy(record + 24, &hash, sizeof(hash));
}

/* The number of whole records. The salt is a constant here, so that the fuzzer
 * comes to make some itself, also of unknown kinds and over good ones. */
static uint64_t read_file(int fd, uint64_t file_size)
{
	struct wal_reader r;
	struct wal_record record;
	uint64_t n = 0;
	if (wal_reader_init(&r, fd, SALT, NULL, NULL) == 0) {
		while (wal_reader_next(&r, &record) == 1) {
			assert(record.body.size <= file_size && record.intake.label[SERIES_SERVICE].size > 0);
			n++;
		}
		assert(r.damaged_bytes + r.tail_bytes <= file_size + 8);
	}
	n += r.n_unknown;
	wal_reader_done(&r);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	_cleanup_(buf_done)
	struct buf file = buf_of(1 << 20);
	_cleanup_(close_fd)
	int fd = memfd_create("segment", MFD_CLOEXEC);
	unsigned mode = data[0] % 3;
	if (mode == 0)
		buf_add(&file, data + 1, size - 1);
	else if (mode == 1)
		write_sandwich(&file, data + 1, size - 1);
	else
		write_meta(&file, data + 1, size - 1);
	if (fd < 0 || pwrite(fd, file.data, file.n, 0) != (ssize_t)file.n)
		return 0;
	uint64_t n = read_file(fd, file.n);
	assert(mode != 1 || n >= 2);
	return 0;
}
