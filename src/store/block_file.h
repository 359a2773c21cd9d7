/* SPDX-License-Identifier: Apache-2.0 */
/* block_file.h: an open block: its table of sections and the checked bytes of them.
 *
 *   block_file_open     header, trailer, section table, META     a few KiB
 *   block_file_section  the columns of one section
 *   block_file_read     bytes of a page
 *   block_file_unseal   the same, opened, where the block is sealed
 *
 * Nothing is mapped: a disk that cannot be read is an error, not a signal.
 * One thread at a time, but for block_file_read(), _key() and _unseal(). */
#pragma once

#include "base/seal.h"
#include "store/block_format.h"
#include "store/packing.h"

struct block_file {
	int fd;
	uint64_t seed;
	struct block_meta meta;
	struct block_row section[N_SECTIONS]; /* by kind; off = 0: it has none */
	const struct master_key *master;      /* NULL: it is not sealed */
};

/* -EBADMSG damaged, -EPROTONOSUPPORT a version we do not know, -ENOKEY sealed with a key that
 * `keys` (NULL = none) does not have, -EKEYREJECTED with another one of that id; -ENOENT, -EIO
 * ... `dir` is a folder's descriptor; `keys` outlives the file. */
int block_file_open(struct block_file *f, int dir, const char *name, const struct keyring *keys,
		    struct error *err) must_check;
void block_file_close(struct block_file *f);

/* The unpacked bytes of a section: malloc()ed and charged, to be given back by
 * block_bytes_free(). An absent one is empty. -EBADMSG, -EIO, -ENOBUFS, -ENOMEM. */
struct block_bytes {
	uint8_t *data;
	size_t size;
	struct membudget *budget;
};

int block_file_section(const struct block_file *f, enum block_section kind, struct membudget *budget,
		       struct block_bytes *ret, struct error *err) must_check;
void block_bytes_free(struct block_bytes *b); /* for _cleanup_ */
static inline struct slice block_bytes_slice(const struct block_bytes *b)
{
	return slice_of(b->data, b->size);
}

/* All of [off, off + size), or -EIO, -EBADMSG (the file ends before). */
int block_file_read(const struct block_file *f, uint64_t off, size_t size, uint8_t *out) must_check;

/* By how much sealing makes what is stored longer. */
static inline uint32_t block_file_extra(const struct block_file *f)
{
	return f->master ? SEAL_EXTRA_SIZE : 0;
}

/* Whether `stored` bytes can hold `size` unpacked ones. Of nothing, nothing is stored. */
static inline bool block_file_fits(const struct block_file *f, uint64_t stored, uint64_t size)
{
	return size == 0 ? stored == 0 : stored >= block_file_extra(f) && stored - block_file_extra(f) <= size;
}

/* A thread's own key of a sealed block; of another, one without a cipher. -ENOMEM, -EIO. */
int block_file_key(const struct block_file *f, struct sealing_key *ret) must_check;
/* What was sealed as `stored` at `off`, into `out`: block_file_extra() bytes less. -EBADMSG. */
int block_file_unseal(const struct block_file *f, struct sealing_key *key, uint64_t off, struct slice stored,
		      uint8_t *out) must_check;
