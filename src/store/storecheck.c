/* SPDX-License-Identifier: Apache-2.0 */
#include "store/storecheck.h"

#include "store/block_part.h"
#include "store/blockset.h"
#include "store/intake.h"
#include "store/keys.h"
#include "store/scan.h"
#include "store/wal_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

struct block_ids {
	struct block_id *data;
	uint32_t n, cap;
};

/* One block under the glass. */
struct looking {
	struct storecheck *c;
	char path[BLOCK_ID_HEX + 16]; /* blocks/ID.blk, for people */
	const struct block_file *file;
	struct sealing_key key;
	struct unpacker unpacker;
	struct buf stored, packed, plain;
};

static void report(struct storecheck *c, const char *file, uint64_t off, const char *what)
{
	c->n_damaged++;
	c->damaged(c->arg, file, off, what);
}

/* What is about us, not about the file. */
static bool is_ours(int r)
{
	return r == -ENOMEM || r == -ENOBUFS || r == -ENOKEY || r == -EMFILE || r == -ENFILE || r == -EACCES;
}

/* ---- blocks ---- */

static uint8_t *room(struct buf *b, size_t size)
{
	b->n = 0;
	return buf_room(b, size + 1);
}

/* 0; -EBADMSG; -ENOMEM, -EIO. */
static int open_piece(struct looking *l, uint64_t off, uint32_t stored_size, uint32_t size, uint64_t hash)
{
	uint8_t *stored = room(&l->stored, stored_size), *packed = room(&l->packed, stored_size);
	uint8_t *plain = room(&l->plain, size);
	if (!stored || !packed || !plain)
		return -ENOMEM;
	struct slice bytes = slice_of(stored, stored_size);
	int r = block_file_read(l->file, off, stored_size, stored);
	if (r == 0 && block_hash(l->file->seed, bytes) != hash)
		r = -EBADMSG;
	if (r == 0 && l->key.cipher && stored_size) {
		r = block_file_unseal(l->file, &l->key, off, bytes, packed);
		bytes = slice_of(packed, stored_size - SEAL_EXTRA_SIZE);
	}
	return r == 0 ? unpack(&l->unpacker, bytes, plain, size) : r;
}

static int check_pages(struct looking *l, const struct block_pages *pages)
{
	static const char *const names[N_PIECES] = { "heads", "rows", "times" };
	for (uint32_t i = 0; i < pages->pages.n; i++) {
		const struct page *page = &pages->pages.data[i];
		uint64_t off = page->off;
		l->c->n_pages++;
		for (int k = 0; k < N_PIECES; k++) {
			char what[64];
			int r = open_piece(l, off, page->stored[k], page->size[k], page->hash[k]);
			if (is_ours(r))
				return r;
			(void)snprintf(what, sizeof(what), "the %s of a page are damaged", names[k]);
			if (r < 0)
				report(l->c, l->path, off, what);
			off += page->stored[k];
		}
	}
	return 0;
}

/* All chunks of one series at one resolution: rows whose sum is not the chunk's total are damage, too. */
static int scan_one(struct looking *l, struct scan *scan, bool *ret_bad)
{
	struct rows rows;
	const struct observation *observations;
	uint32_t n;
	int r;
	while ((r = scan_next(scan)) == 1) {
		r = scan_rows(scan, &rows);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		uint64_t sum = 0;
		for (uint32_t i = 0; i < rows.n; i++)
			sum += (uint64_t)rows.value[i];
		*ret_bad = *ret_bad || sum != (uint64_t)scan->chunk.total;
		l->c->n_rows += rows.n;
		r = scan_times(scan, &rows, &observations, &n);
		if (r < 0)
			return r;
	}
	*ret_bad = *ret_bad || scan->stats.n_damaged;
	return r;
}

static int check_series(struct looking *l, const struct block_part *part, uint32_t series, struct membudget *budget)
{
	const struct series_pages *pages = &part->pages.series.data[series];
	for (int res = 0; res < N_RESOLUTIONS; res++) {
		const struct scan_options options = { .from_ms = INT64_MIN,
						      .to_ms = INT64_MAX,
						      .finest = (enum resolution)res,
						      .coarsest = (enum resolution)res };
		struct scan scan;
		bool is_bad = false;
		if (pages->first[res] == pages->first[res + 1])
			continue;
		int r = scan_init(&scan, &part->part, &options, budget);
		if (r == 0)
			r = scan_series(&scan, series);
		if (r == 0)
			r = scan_one(l, &scan, &is_bad);
		scan_done(&scan);
		if (r < 0)
			return r;
		if (is_bad)
			report(l->c, l->path, part->pages.pages.data[pages->first[res]].off,
			       "rows of the series whose pages begin here make no sense");
	}
	return 0;
}

static int check_contents(struct looking *l, const struct block_part *part, struct membudget *budget)
{
	uint64_t before = l->c->n_damaged;
	l->file = &part->pages.file;
	int r = block_file_key(l->file, &l->key);
	if (r == 0)
		r = unpacker_init(&l->unpacker);
	if (r == 0)
		r = check_pages(l, &part->pages);
	unpacker_done(&l->unpacker);
	sealing_key_done(&l->key);
	/* Where a page cannot be read, it has been said. */
	for (uint32_t i = 0; r == 0 && l->c->n_damaged == before && i < part->part.series.n; i++)
		r = check_series(l, part, i, budget);
	return r;
}

static int ignore_key(void *arg, const struct key_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

/* Each section by itself, so that each damaged one is named. */
static int check_sections(struct looking *l, const struct block_file *f, struct membudget *budget, struct error *err)
{
	for (int kind = 1; kind < N_SECTIONS; kind++) {
		struct block_bytes bytes;
		int r = block_file_section(f, (enum block_section)kind, budget, &bytes, err);
		if (is_ours(r))
			return r;
		if (r < 0)
			report(l->c, l->path, f->section[kind].off, err->text);
		block_bytes_free(&bytes);
	}
	int r = block_read_keys(f, ignore_key, NULL, budget, err);
	return is_ours(r) ? r : 0;
}

static int check_tables(struct looking *l, const char *name, struct membudget *budget, struct error *err)
{
	struct block_part part;
	const struct folder *f = l->c->folder;
	int r = block_part_load(&part, f->blocks_fd, name, f->keys, budget, err);
	if (r < 0 && (is_ours(r) || r == -ENOENT))
		return r;
	if (r < 0) {
		report(l->c, l->path, 0, err->text);
		return 0;
	}
	r = check_contents(l, &part, budget);
	block_part_done(&part);
	return r < 0 ? error_set(err, r, "%s: %s", l->path,
				 r == -ENOBUFS ? "needs more memory to be read" : strerror(-r))
		     : 0;
}

static int look_at(struct looking *l, const struct block_id *id, const char *name, struct error *err)
{
	const struct folder *f = l->c->folder;
	struct membudget budget = membudget_of(l->c->memory);
	struct block_file file;
	uint64_t before = l->c->n_damaged;
	int r = block_file_open(&file, f->blocks_fd, name, f->keys, err);
	if (r < 0 && (is_ours(r) || r == -ENOENT))
		return r;
	if (r == 0 && !block_id_eq(&file.meta.id, id)) {
		block_file_close(&file);
		r = error_set(err, -EBADMSG, "the block says it is another one");
	}
	if (r < 0) {
		report(l->c, l->path, 0, err->text);
		return 0;
	}
	r = check_sections(l, &file, &budget, err);
	block_file_close(&file);
	return r < 0 || l->c->n_damaged > before ? r : check_tables(l, name, &budget, err);
}

/* -ENOENT: it has gone. */
static int check_block(struct storecheck *c, const struct block_id *id, struct error *err)
{
	char name[BLOCK_ID_HEX + 4];
	struct looking l = {
		.c = c, .stored = buf_of(UINT32_MAX), .packed = buf_of(UINT32_MAX), .plain = buf_of(UINT32_MAX)
	};
	block_file_name(id, name);
	(void)snprintf(l.path, sizeof(l.path), "blocks/%s", name);
	int r = look_at(&l, id, name, err);
	c->n_blocks += r == 0;
	buf_done(&l.stored);
	buf_done(&l.packed);
	buf_done(&l.plain);
	return r;
}

static bool is_done(const struct block_ids *done, const struct block_id *id)
{
	for (uint32_t i = 0; i < done->n; i++)
		if (block_id_eq(&done->data[i], id))
			return true;
	return false;
}

/* 1: one of them has gone: the manifest is another one now. */
static int check_listed(struct storecheck *c, struct block_ids *done, struct error *err)
{
	int r = 0;
	bool is_gone = false;
	for (uint32_t i = 0; r == 0 && i < c->folder->manifest.blocks.n; i++) {
		const struct block_id id = c->folder->manifest.blocks.data[i];
		if (is_done(done, &id))
			continue;
		r = vec_reserve(NULL, done, 1);
		if (r == 0)
			r = check_block(c, &id, err);
		is_gone = is_gone || r == -ENOENT;
		if (r == 0)
			done->data[done->n++] = id;
		r = r == -ENOENT ? 0 : r;
	}
	return r < 0 ? r : is_gone;
}

/* Those that the manifest names and that are not there: not merged, lost. */
static int report_missing(struct storecheck *c, const struct block_ids *done)
{
	for (uint32_t i = 0; i < c->folder->manifest.blocks.n; i++) {
		const struct block_id *id = &c->folder->manifest.blocks.data[i];
		char name[BLOCK_ID_HEX + 4], path[BLOCK_ID_HEX + 16];
		block_file_name(id, name);
		(void)snprintf(path, sizeof(path), "blocks/%s", name);
		if (!is_done(done, id))
			report(c, path, 0, "the manifest names it, and it is not there");
	}
	return 0;
}

static bool is_same_list(const struct manifest *m, const struct block_ids *before)
{
	return m->blocks.n == before->n &&
	       (before->n == 0 || memcmp(m->blocks.data, before->data, before->n * sizeof(*before->data)) == 0);
}

static int copy_list(const struct manifest *m, struct block_ids *ret)
{
	ret->n = 0;
	int r = vec_reserve(NULL, ret, m->blocks.n);
	for (uint32_t i = 0; r == 0 && i < m->blocks.n; i++)
		ret->data[ret->n++] = m->blocks.data[i];
	return r;
}

static int check_blocks(struct storecheck *c, struct error *err)
{
	struct block_ids done = { 0 }, before = { 0 };
	int r = folder_read_manifest(c->folder, err);
	if (r == 0 && c->folder->is_anew)
		report(c, "blocks/manifest", 0,
		       c->folder->is_seed_lost
			       ? "it is damaged or lost: a server makes it anew from the blocks at its start, but "
				 "idempotency "
				 "keys are lost: profiles that are sent again may be stored twice"
			       : "it is damaged or lost: a server makes it anew from the blocks at its start, with the "
				 "idempotency keys");
	for (int i = 0; r == 0; i++) {
		r = copy_list(&c->folder->manifest, &before);
		if (r == 0)
			r = check_listed(c, &done, err);
		if (r <= 0)
			break;
		r = folder_read_manifest(c->folder, err);
		if (r == 0 && is_same_list(&c->folder->manifest, &before)) {
			r = report_missing(c, &done);
			break;
		}
		if (r == 0 && i == FOLDER_MAX_ATTEMPTS)
			r = error_set(err, -EBUSY, "%s/blocks: blocks are merged faster than they are read",
				      c->folder->dir);
	}
	vec_done(NULL, &done);
	vec_done(NULL, &before);
	return r;
}

/* ---- the log ---- */

static int check_body(struct storecheck *c, const struct wal_record *record, const char *path, uint64_t off)
{
	struct membudget budget = membudget_of(c->memory);
	struct intake_profile profile;
	struct error why = { "" };
	int r = intake_decode(&record->intake, record->body, &format_limits_default, &budget, &profile, &why);
	if (r == 0)
		intake_profile_done(&profile);
	if (is_ours(r))
		return r;
	if (r < 0)
		report(c, path, off, why.text);
	return 0;
}

static int read_records(struct storecheck *c, struct wal_reader *reader, const char *path)
{
	struct wal_record record;
	for (;;) {
		uint64_t pos = reader->pos, n_damaged = reader->n_damaged;
		int r = wal_reader_next(reader, &record);
		if (reader->n_damaged > n_damaged)
			report(c, path, pos, "no whole record");
		if (r == -EKEYREJECTED) {
			report(c, path, reader->bad_off, "the key does not open the record");
			return 0;
		}
		if (r <= 0)
			return r;
		c->n_records++;
		r = check_body(c, &record, path, reader->record_off);
		if (r < 0)
			return r;
	}
}

static int check_segment(struct storecheck *c, const struct segment_file *s, bool is_last, struct error *err)
{
	char path[64];
	struct wal_reader reader;
	(void)snprintf(path, sizeof(path), "wal/%s", s->name);
	_cleanup_(close_fd)
	int fd = openat(c->folder->wal_fd, s->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %m", path);
	int r = wal_reader_init(&reader, fd, s->salt, c->folder->keys, err);
	if (r < 0) {
		error_prefix(err, "%s", path);
		wal_reader_done(&reader);
		return r;
	}
	if (reader.is_header_lost)
		report(c, path, 0, "the header is damaged");
	r = read_records(c, &reader, path);
	/* Cut under us: a batch that failed, of the last segment. */
	if (r == -EIO && is_last)
		r = 0;
	if (r == 0 && is_last)
		c->torn_bytes += reader.tail_bytes;
	else if (r == 0 && reader.tail_bytes)
		report(c, path, reader.good_end, "no whole record");
	wal_reader_done(&reader);
	c->n_segments++;
	return r < 0 ? error_set(err, r, "%s: %s", path, r == -ENOBUFS ? "needs more memory to be read" : strerror(-r))
		     : 0;
}

static int check_log(struct storecheck *c, struct error *err)
{
	_cleanup_(free_ptr)
	struct segment_file *segments = NULL;
	uint32_t n;
	int r = folder_list_segments(c->folder, &segments, &n, err);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = check_segment(c, &segments[i], i + 1 == n, err);
	return r;
}

int storecheck_run(struct storecheck *c, struct error *err)
{
	/* The log first: what goes from it meanwhile is in a block that is looked at then. */
	int r = check_log(c, err);
	return r == 0 ? check_blocks(c, err) : r;
}
