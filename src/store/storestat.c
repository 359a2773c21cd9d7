/* SPDX-License-Identifier: Apache-2.0 */
#include "store/storestat.h"

#include "store/blockset.h"
#include "store/wal_record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

void storestat_done(struct storestat *s)
{
	vec_done(NULL, &s->rows);
}

static struct storestat_key *key_of(struct storestat *s, const char *id)
{
	uint32_t i = 0;
	while (i < s->n_keys && strcmp(s->key[i].id, id) != 0)
		i++;
	/* More keys than a key file can hold: the rest is counted with the last. */
	if (i == ARRAY_SIZE(s->key))
		return &s->key[i - 1];
	if (i == s->n_keys) {
		s->key[s->n_keys++] = (struct storestat_key){ .id = "" };
		(void)snprintf(s->key[i].id, sizeof(s->key[i].id), "%s", id);
	}
	return &s->key[i];
}

static int compare_row(const void *a, const void *b)
{
	const struct storestat_row *x = a, *y = b;
	if (x->is_unread != y->is_unread)
		return x->is_unread ? 1 : -1;
	if (x->starts_from_ms != y->starts_from_ms)
		return x->starts_from_ms < y->starts_from_ms ? -1 : 1;
	if (x->starts_to_ms != y->starts_to_ms)
		return x->starts_to_ms < y->starts_to_ms ? -1 : 1;
	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->resolutions != y->resolutions)
		return x->resolutions < y->resolutions ? -1 : 1;
	return strcmp(x->key_id, y->key_id);
}

static int add_row(struct storestat *s, const struct block_meta *m, bool is_unread)
{
	struct storestat_row row = { .n_blocks = 1, .bytes = m->size, .is_unread = is_unread };
	memcpy(row.key_id, m->key_id, sizeof(row.key_id));
	if (!is_unread) {
		row.starts_from_ms = m->starts_from_ms;
		row.starts_to_ms = m->starts_to_ms;
		row.level = m->level;
		row.resolutions = m->resolutions;
		row.n_profiles = m->n_profiles;
		row.n_series = m->n_series;
		row.n_nodes = m->n_nodes;
	}
	int r = s->rows.n < STORESTAT_MAX_ROWS ? vec_reserve(NULL, &s->rows, 1) : -E2BIG;
	if (r == 0)
		s->rows.data[s->rows.n++] = row;
	return r;
}

static void fold_rows(struct storestat *s)
{
	uint32_t out = 0;
	if (s->rows.n)
		qsort(s->rows.data, s->rows.n, sizeof(*s->rows.data), compare_row);
	for (uint32_t i = 0; i < s->rows.n; i++) {
		const struct storestat_row row = s->rows.data[i];
		struct storestat_row *to = out ? &s->rows.data[out - 1] : NULL;
		if (!to || compare_row(to, &row) != 0) {
			s->rows.data[out++] = row;
			continue;
		}
		to->n_blocks += row.n_blocks;
		to->bytes += row.bytes;
		to->n_profiles += row.n_profiles;
		to->n_series += row.n_series;
		to->n_nodes += row.n_nodes;
	}
	s->rows.n = out;
}

static void add_time(struct storestat *s, const struct block_meta *m)
{
	if (s->n_profiles == 0 || m->from_ms < s->oldest_ms)
		s->oldest_ms = m->from_ms;
	if (s->n_profiles == 0 || m->to_ms > s->newest_ms)
		s->newest_ms = m->to_ms;
	s->n_profiles += m->n_profiles;
}

/* -ENOENT: it has gone. */
static int add_block(struct storestat *s, const struct folder *f, const struct block_id *id)
{
	char name[BLOCK_ID_HEX + 4];
	struct block_file file;
	struct error err;
	block_file_name(id, name);
	int r = block_file_open(&file, f->blocks_fd, name, f->keys, &err);
	if (r == -ENOENT || r == -ENOMEM)
		return r;
	if (r == 0)
		block_file_close(&file);
	if (r < 0 && r != -ENOKEY) {
		s->n_damaged++;
		if (!s->first.text[0])
			s->first = err;
	}
	struct storestat_key *key = key_of(s, file.meta.key_id);
	key->n_blocks++;
	key->bytes += file.meta.size;
	s->n_blocks++;
	s->block_bytes += file.meta.size;
	if (r == 0)
		add_time(s, &file.meta);
	return add_row(s, &file.meta, r < 0);
}

/* A segment that has gone is one that blocks hold by now. */
static int add_segment(struct storestat *s, const struct folder *f, const struct segment_file *segment)
{
	uint8_t header[WAL_SEALED_HEADER_SIZE];
	char key_id[KEY_ID_MAX + 1] = "";
	uint64_t salt;
	uint32_t version;
	struct stat st;
	_cleanup_(close_fd)
	int fd = openat(f->wal_fd, segment->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	ssize_t n = pread(fd, header, sizeof(header), 0);
	if (n < 0)
		return -errno;
	if (wal_segment_header_read(slice_of(header, (size_t)n), &salt, key_id, &version) < 0)
		key_id[0] = 0;
	struct storestat_key *key = key_of(s, key_id);
	key->n_segments++;
	key->bytes += (uint64_t)st.st_size;
	s->n_segments++;
	s->log_bytes += (uint64_t)st.st_size;
	return 0;
}

static int take_blocks(const struct folder *f, struct storestat *s)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < f->manifest.blocks.n; i++)
		r = add_block(s, f, &f->manifest.blocks.data[i]);
	return r;
}

static int take_log(const struct folder *f, struct storestat *s, struct error *err)
{
	_cleanup_(free_ptr)
	struct segment_file *segments = NULL;
	uint32_t n;
	int r = folder_list_segments(f, &segments, &n, err);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = add_segment(s, f, &segments[i]);
		if (r < 0)
			(void)error_set(err, r, "%s/wal/%s: %s", f->dir, segments[i].name, strerror(-r));
	}
	return r;
}

int storestat_take(struct folder *f, struct storestat *ret, struct error *err)
{
	int r = -ENOENT;
	*ret = (struct storestat){ 0 };
	for (int i = 0; r == -ENOENT && i < FOLDER_MAX_ATTEMPTS; i++) {
		storestat_done(ret);
		*ret = (struct storestat){ 0 };
		r = folder_read_manifest(f, err);
		if (r < 0)
			return r;
		r = take_blocks(f, ret);
	}
	if (r < 0)
		return error_set(err, r == -ENOENT ? -EBUSY : r, "%s/blocks: %s", f->dir,
				 r == -ENOENT
					 ? "a block that the manifest names is not there: wick store check says which"
					 : strerror(-r));
	fold_rows(ret);
	r = take_log(f, ret, err);
	for (uint32_t i = 0; i < ret->n_keys; i++)
		ret->key[i].is_writer = f->keys && strcmp(ret->key[i].id, keyring_writer(f->keys)->id) == 0;
	return r;
}
