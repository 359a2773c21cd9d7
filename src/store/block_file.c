/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int block_file_read(const struct block_file *f, uint64_t off, size_t size, uint8_t *out)
{
	size_t have = 0;
	while (have < size) {
		ssize_t n = pread(f->fd, out + have, size - have, (off_t)(off + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		have += (size_t)n;
	}
	return 0;
}

static int read_table(struct block_file *f, struct error *err)
{
	uint8_t trailer[BLOCK_TRAILER_SIZE], table[BLOCK_MAX_SECTIONS * BLOCK_ROW_SIZE];
	uint64_t off;
	uint32_t n;
	int r = block_file_read(f, f->meta.size - BLOCK_TRAILER_SIZE, sizeof(trailer), trailer);
	if (r == 0)
		r = block_trailer_read(trailer, f->meta.size, &off, &n);
	if (r == 0)
		r = block_file_read(f, off, (size_t)n * BLOCK_ROW_SIZE, table);
	if (r == 0 && !block_trailer_fits(&f->meta.id, slice_of(table, (size_t)n * BLOCK_ROW_SIZE), trailer))
		r = -EBADMSG;
	if (r < 0)
		return error_set(err, r, r == -EBADMSG ? "the block's end is damaged" : "cannot be read: %s",
				 strerror(-r));
	for (uint32_t i = 0; i < n; i++) {
		struct block_row row;
		block_row_read(table + (size_t)i * BLOCK_ROW_SIZE, &row);
		if (row.kind == 0 || row.kind >= N_SECTIONS)
			continue;
		if (row.off < BLOCK_HEADER_SIZE || row.off > off || row.stored_size > off - row.off ||
		    row.size > BLOCK_MAX_SECTION || !block_file_fits(f, row.stored_size, row.size) ||
		    row.codec > BLOCK_ZSTD)
			return error_set(err, -EBADMSG, "section %u of the block lies outside of it", row.kind);
		f->section[row.kind] = row;
	}
	return 0;
}

static int read_meta(struct block_file *f, struct error *err)
{
	const struct block_meta outside = f->meta;
	struct membudget budget = membudget_of(4 << 20); /* outlives the bytes */
	_cleanup_(block_bytes_free)
	struct block_bytes bytes = { 0 };
	int r = block_file_section(f, SECTION_META, &budget, &bytes, err);
	if (r == 0 && block_meta_read(block_bytes_slice(&bytes), &f->meta) < 0)
		r = error_set(err, -EBADMSG, "what the block says of itself makes no sense");
	f->meta.id = outside.id;
	f->meta.size = outside.size;
	memcpy(f->meta.key_id, outside.key_id, sizeof(f->meta.key_id));
	return r;
}

static int find_key(struct block_file *f, const struct keyring *keys, struct error *err)
{
	struct slice id = slice_str(f->meta.key_id);
	if (id.size == 0)
		return 0;
	if (!keys)
		return error_set(err, -ENOKEY,
				 "the block is sealed with the key %s: give the key file with --encryption-keys",
				 f->meta.key_id);
	int r = keyring_find(keys, id, &f->master, err);
	if (r < 0)
		error_append(err, " (--encryption-keys)");
	return r;
}

static int open_it(struct block_file *f, int dir, const char *name, const struct keyring *keys, struct error *err)
{
	struct stat st;
	uint8_t header[BLOCK_HEADER_SIZE];
	f->fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return error_set(err, -errno, "cannot be opened: %m");
	f->meta.size = (uint64_t)st.st_size;
	if (f->meta.size < BLOCK_HEADER_SIZE + BLOCK_TRAILER_SIZE)
		return error_set(err, -EBADMSG, "the block has %ju bytes: it is cut", (uintmax_t)st.st_size);
	int r = block_file_read(f, 0, sizeof(header), header);
	if (r < 0)
		return error_set(err, r, "cannot be read: %s", strerror(-r));
	r = block_header_read(header, &f->meta.id, f->meta.key_id, err);
	if (r == 0)
		r = find_key(f, keys, err);
	if (r < 0)
		return r;
	f->seed = block_seed(&f->meta.id);
	r = read_table(f, err);
	return r == 0 ? read_meta(f, err) : r;
}

int block_file_open(struct block_file *f, int dir, const char *name, const struct keyring *keys, struct error *err)
{
	*f = (struct block_file){ .fd = -1 };
	int r = open_it(f, dir, name, keys, err);
	if (r < 0) {
		block_file_close(f);
		error_prefix(err, "%s", name);
	}
	return r;
}

void block_file_close(struct block_file *f)
{
	close_fd(&f->fd);
	f->fd = -1;
}

void block_bytes_free(struct block_bytes *b)
{
	free(b->data);
	membudget_release(b->budget, b->size);
	*b = (struct block_bytes){ 0 };
}

int block_file_key(const struct block_file *f, struct sealing_key *ret)
{
	*ret = (struct sealing_key){ 0 };
	return f->master ? seal_file_key(f->master, f->meta.id.byte, ret, NULL) : 0;
}

int block_file_unseal(const struct block_file *f, struct sealing_key *key, uint64_t off, struct slice stored,
		      uint8_t *out)
{
	uint8_t aad[BLOCK_AAD_SIZE];
	/* As it never grows, it stays where it is. */
	struct buf to = { .data = out, .cap = stored.size, .max = stored.size };
	block_aad(&f->meta.id, off, aad);
	int r = unseal_bytes(key, slice_of(aad, sizeof(aad)), stored, &to, NULL);
	return r == -ENODATA ? -EBADMSG : r;
}

static int unpack_section(const struct block_row *row, struct slice packed, uint8_t *out)
{
	struct unpacker u;
	int r = unpacker_init(&u);
	if (r == 0)
		r = unpack(&u, packed, out, row->size);
	unpacker_done(&u);
	return r;
}

/* Whole as it was stored, by its hash, and yet the key does not open it: another key than it was
 * sealed with, or altered by somebody who knew how. */
static int unseal_section(const struct block_file *f, const struct block_row *row, struct slice stored, uint8_t *out)
{
	struct sealing_key key;
	int r = block_file_key(f, &key);
	if (r < 0)
		return r;
	r = block_file_unseal(f, &key, row->off, stored, out);
	sealing_key_done(&key);
	return r == -EBADMSG ? -EKEYREJECTED : r;
}

static int read_section(const struct block_file *f, const struct block_row *row, uint8_t *out)
{
	size_t size = row->stored_size;
	_cleanup_(free_ptr)
	uint8_t *stored = malloc(size * (f->master ? 2 : 1) + 1);
	if (!stored)
		return -ENOMEM;
	int r = block_file_read(f, row->off, size, stored);
	struct slice bytes = slice_of(stored, size);
	if (r == 0 && block_hash(f->seed, bytes) != row->hash)
		r = -EBADMSG;
	if (r == 0 && f->master) {
		r = unseal_section(f, row, bytes, stored + size);
		bytes = slice_of(stored + size, size - SEAL_EXTRA_SIZE);
	}
	return r == 0 ? unpack_section(row, bytes, out) : r;
}

static int section_error(const struct block_file *f, enum block_section kind, int r, struct error *err)
{
	if (r == -EKEYREJECTED)
		return error_set(err, r,
				 "the key %s of --encryption-keys does not open section %d: it is not the one that the "
				 "block was sealed with, or the block was altered",
				 f->meta.key_id, kind);
	return error_set(err, r, r == -EBADMSG ? "section %d is damaged" : "section %d cannot be read: %s", kind,
			 strerror(-r));
}

int block_file_section(const struct block_file *f, enum block_section kind, struct membudget *budget,
		       struct block_bytes *ret, struct error *err)
{
	const struct block_row *row = &f->section[kind];
	*ret = (struct block_bytes){ 0 };
	if (row->off == 0 || row->size == 0)
		return 0;
	/* What is stored is held beside it for a moment, opened and sealed. */
	size_t beside = row->stored_size * (f->master ? 2 : 1);
	if (!membudget_charge(budget, row->size + beside))
		return -ENOBUFS;
	uint8_t *data = malloc(row->size);
	int r = data ? read_section(f, row, data) : -ENOMEM;
	membudget_release(budget, beside);
	if (r < 0) {
		free(data);
		membudget_release(budget, row->size);
		return section_error(f, kind, r, err);
	}
	*ret = (struct block_bytes){ data, row->size, budget };
	return 0;
}
