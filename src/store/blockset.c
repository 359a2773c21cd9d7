/* SPDX-License-Identifier: Apache-2.0 */
#include "store/blockset.h"

#include "store/rebuild.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>

/* Of tables in memory, for a block of so many nodes ...; more is refused when it is loaded. */
#define TABLES_BASE ((size_t)64 << 10)
#define LINES_SIZE  sizeof(uint32_t) /* part_lines, of a frame */

struct blockset {
	char dir[PATH_MAX - 64];
	int dir_fd;
	size_t cache_max;
	const struct keyring *keys;

	/* Guards all below, and the own part of each block. */
	pthread_mutex_t lock;
	pthread_cond_t unused;	  /* a loaded block has no user any more, is loaded, or is not any more */
	struct manifest manifest; /* `blocks` lists damaged ones, too */
	VEC(struct block *) blocks;
	VEC(struct block_id) undecided; /* the publisher's: a manifest that names them may be on disk */
	size_t cache_used;
	uint64_t clock, n_loads, n_hits;
	uint64_t bytes; /* of the blocks' files */
	uint32_t n_damaged;
};

void block_file_name(const struct block_id *id, char out[static BLOCK_ID_HEX + 4])
{
	block_id_format(id, out);
	memcpy(out + BLOCK_ID_HEX - 1, ".blk", 5);
}

static void temporary_name(const struct block_id *id, char out[static BLOCK_ID_HEX + 8])
{
	block_id_format(id, out);
	memcpy(out + BLOCK_ID_HEX - 1, ".tmp", 5);
}

/* ---- one block ---- */

static struct block *block_new(const struct block_meta *m)
{
	struct block *b = calloc(1, sizeof(*b));
	char *types = malloc(m->types_size + (size_t)1);
	if (!b || !types) {
		free(b);
		free(types);
		return NULL;
	}
	memcpy(types, m->types, m->types_size);
	*b = (struct block){
		.id = m->id,
		.size = m->size,
		.from_ms = m->from_ms,
		.to_ms = m->to_ms,
		.starts_from_ms = m->starts_from_ms,
		.starts_to_ms = m->starts_to_ms,
		.arrived_from_ms = m->arrived_from_ms,
		.arrived_to_ms = m->arrived_to_ms,
		.last_seq = m->last_seq,
		.n_profiles = m->n_profiles,
		.n_nodes = m->n_nodes,
		.n_series = m->n_series,
		.n_observations = m->n_observations,
		.level = m->level,
		.resolutions = m->resolutions,
		.types = types,
		.types_size = m->types_size,
		.n_refs = 1,
	};
	memcpy(b->key_id, m->key_id, sizeof(b->key_id));
	return b;
}

static void unload(struct blockset *s, struct block *b)
{
	assert(b->n_users == 0);
	if (!b->loaded)
		return;
	block_part_done(b->loaded);
	free(b->loaded);
	b->loaded = NULL;
	s->cache_used -= b->budget.max;
	(void)pthread_cond_broadcast(&s->unused);
}

/* With the lock. */
static void unref(struct blockset *s, struct block *b)
{
	if (--b->n_refs > 0)
		return;
	unload(s, b);
	if (b->is_gone) {
		char name[BLOCK_ID_HEX + 8];
		temporary_name(&b->id, name);
		int r = unlinkat(s->dir_fd, name, 0);
		/* One that could not be renamed. What stays is an orphan, removed at the next start. */
		block_file_name(&b->id, name);
		if (r < 0)
			(void)unlinkat(s->dir_fd, name, 0);
	}
	free(b->types);
	free(b);
}

/* ---- opening ---- */

static void note(struct blockset_report *report, const struct error *err)
{
	if (!report->first.text[0])
		report->first = *err;
}

static int add_block(struct blockset *s, const struct block_meta *m)
{
	struct block *b = block_new(m);
	int r = b ? vec_reserve(NULL, &s->blocks, 1) : -ENOMEM;
	if (r == 0) {
		s->blocks.data[s->blocks.n++] = b;
		s->bytes += b->size;
	} else if (b) {
		free(b->types);
		free(b);
	}
	return r;
}

static int open_listed(struct blockset *s, const struct block_id *id, struct blockset_report *report, struct error *err)
{
	char name[BLOCK_ID_HEX + 4];
	struct block_file f;
	struct error why = { "" };
	block_file_name(id, name);
	int r = block_file_open(&f, s->dir_fd, name, s->keys, &why);
	if (r == 0 && !block_id_eq(&f.meta.id, id))
		r = error_set(&why, -EBADMSG, "%s: the block says it is another one", name);
	if (r == 0)
		r = add_block(s, &f.meta);
	if (f.fd >= 0)
		block_file_close(&f);
	if (r == 0 || r == -ENOMEM)
		return r;
	if (rebuild_is_whole(r)) {
		if (err)
			*err = why;
		return r;
	}
	report->n_missing += r == -ENOENT;
	report->n_damaged += r != -ENOENT;
	note(report, &why);
	return 0;
}

static bool is_listed(const struct blockset *s, const struct block_id *id)
{
	for (uint32_t i = 0; i < s->manifest.blocks.n; i++)
		if (block_id_eq(&s->manifest.blocks.data[i], id))
			return true;
	return false;
}

static bool is_temporary(const char *name)
{
	size_t n = strlen(name);
	return n > 4 && strcmp(name + n - 4, ".tmp") == 0;
}

static DIR *open_dir(struct blockset *s)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		close_fd(&fd);
	return d;
}

/* Files that no manifest ever named. */
static int remove_orphans(struct blockset *s, struct blockset_report *report, struct error *err)
{
	DIR *d = open_dir(s);
	if (!d)
		return error_set(err, -errno, "%s: %m", s->dir);
	for (const struct dirent *e; (e = readdir(d));) {
		struct block_id id;
		if (rebuild_parse_name(e->d_name, &id) ? is_listed(s, &id) : !is_temporary(e->d_name))
			continue;
		if (unlinkat(s->dir_fd, e->d_name, 0) == 0)
			report->n_orphans++;
	}
	(void)closedir(d);
	return 0;
}

/* All blocks but those that another one replaces; of a new store, none. */
static int rebuild(struct blockset *s, struct blockset_report *report, struct error *err)
{
	bool unsure;
	struct rebuild made;
	int r = rebuild_manifest(s->dir_fd, s->keys, &made, err);
	if (r == 0 && !report->is_rebuilt)
		r = manifest_write(s->dir_fd, &made.manifest, &unsure, err);
	report->is_seed_lost = report->is_rebuilt && made.manifest.blocks.n && !made.has_key_seed;
	s->manifest = made.manifest;
	return r;
}

static int open_all(struct blockset *s, struct blockset_report *report, struct error *err)
{
	struct error why = { "" };
	int r = manifest_read(s->dir_fd, &s->manifest, &why);
	if (r == -EPROTONOSUPPORT || (r < 0 && r != -ENOENT && r != -EBADMSG)) {
		if (err)
			*err = why;
		return r;
	}
	if (r < 0) {
		report->is_rebuilt = r != -ENOENT || rebuild_has_blocks(s->dir_fd);
		if (report->is_rebuilt)
			note(report, &why);
		r = rebuild(s, report, err);
	}
	for (uint32_t i = 0; r == 0 && i < s->manifest.blocks.n; i++)
		r = open_listed(s, &s->manifest.blocks.data[i], report, err);
	s->n_damaged = report->n_damaged + report->n_missing;
	return r == 0 ? remove_orphans(s, report, err) : r;
}

int blockset_open(const char *dir, size_t cache_max, const struct keyring *keys, struct blockset **ret,
		  struct blockset_report *report, struct error *err)
{
	*report = (struct blockset_report){ 0 };
	if (strlen(dir) >= PATH_MAX - 64)
		return error_set(err, -ENAMETOOLONG, "%s: the path is too long", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %m", dir);
	_cleanup_(blockset_close)
	struct blockset *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory for the blocks");
	(void)snprintf(s->dir, sizeof(s->dir), "%s", dir);
	s->cache_max = cache_max;
	s->keys = keys;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->unused, NULL);
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return error_set(err, -errno, "%s: %m", dir);
	int r = open_all(s, report, err);
	if (r < 0) {
		error_prefix(err, "%s", dir);
		return r;
	}
	*ret = take_ptr(s);
	return 0;
}

void blockset_close(struct blockset **set)
{
	struct blockset *s = *set;
	if (!s)
		return;
	for (uint32_t i = 0; i < s->blocks.n; i++)
		unref(s, s->blocks.data[i]);
	vec_done(NULL, &s->blocks);
	vec_done(NULL, &s->undecided);
	manifest_done(&s->manifest);
	close_fd(&s->dir_fd);
	(void)pthread_cond_destroy(&s->unused);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	*set = NULL;
}

uint64_t blockset_last_seq(const struct blockset *s)
{
	return s->manifest.last_seq;
}

uint64_t blockset_key_seed(const struct blockset *s)
{
	return s->manifest.key_seed;
}

const uint64_t *blockset_kept(const struct blockset *s, uint32_t *ret_n)
{
	*ret_n = s->manifest.kept.n;
	return s->manifest.kept.data;
}

int blockset_dir(const struct blockset *s)
{
	return s->dir_fd;
}

int blockset_settle(struct blockset *s, const uint64_t *kept, uint32_t n_kept, struct error *err)
{
	bool unsure;
	int r = vec_reserve(NULL, &s->manifest.kept, n_kept);
	if (r < 0)
		return error_set(err, r, "no memory for the list of blocks");
	s->manifest.kept.n = 0;
	for (uint32_t i = 0; i < n_kept; i++)
		if (kept[i] <= s->manifest.last_seq)
			s->manifest.kept.data[s->manifest.kept.n++] = kept[i];
	return manifest_write(s->dir_fd, &s->manifest, &unsure, err);
}

/* ---- publishing ---- */

int blockset_create(struct blockset *s, const struct block_id *id, struct error *err)
{
	char name[BLOCK_ID_HEX + 8];
	temporary_name(id, name);
	int fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? error_set(err, -errno, "%s/%s: %m", s->dir, name) : fd;
}

void blockset_discard(struct blockset *s, const struct block_id *id)
{
	char name[BLOCK_ID_HEX + 8];
	for (uint32_t i = 0; i < s->undecided.n; i++)
		if (block_id_eq(&s->undecided.data[i], id))
			return;
	temporary_name(id, name);
	(void)unlinkat(s->dir_fd, name, 0);
	block_file_name(id, name);
	(void)unlinkat(s->dir_fd, name, 0);
}

static int name_files(struct blockset *s, const struct blockset_change *c, struct error *err)
{
	for (uint32_t i = 0; i < c->n_added; i++) {
		char from[BLOCK_ID_HEX + 8], to[BLOCK_ID_HEX + 4];
		temporary_name(&c->added[i].id, from);
		block_file_name(&c->added[i].id, to);
		if (renameat(s->dir_fd, from, s->dir_fd, to) < 0)
			return error_set(err, -errno, "%s/%s: cannot be renamed: %m", s->dir, from);
	}
	if (c->n_added && fsync(s->dir_fd) < 0)
		return error_set(err, -errno, "%s: cannot sync: %m", s->dir);
	return 0;
}

static bool is_removed(const struct blockset_change *c, const struct block_id *id)
{
	for (uint32_t i = 0; i < c->n_removed; i++)
		if (block_id_eq(&c->removed[i]->id, id))
			return true;
	return false;
}

static int next_manifest(const struct blockset *s, const struct blockset_change *c, struct manifest *ret)
{
	const struct manifest *old = &s->manifest;
	*ret = (struct manifest){ .store = old->store, .key_seed = old->key_seed, .last_seq = old->last_seq };
	const uint64_t *kept = c->last_seq ? c->kept : old->kept.data;
	uint32_t n_kept = c->last_seq ? c->n_kept : old->kept.n;
	int r = vec_reserve(NULL, &ret->blocks, old->blocks.n + c->n_added);
	if (r == 0)
		r = vec_reserve(NULL, &ret->kept, n_kept);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < old->blocks.n; i++)
		if (!is_removed(c, &old->blocks.data[i]))
			ret->blocks.data[ret->blocks.n++] = old->blocks.data[i];
	for (uint32_t i = 0; i < c->n_added; i++)
		ret->blocks.data[ret->blocks.n++] = c->added[i].id;
	for (uint32_t i = 0; i < n_kept; i++)
		ret->kept.data[ret->kept.n++] = kept[i];
	if (c->last_seq > ret->last_seq)
		ret->last_seq = c->last_seq;
	return ret->blocks.n > MANIFEST_MAX_BLOCKS ? -EDQUOT : 0;
}

/* The list becomes what the manifest says. */
static void swap_list(struct blockset *s, const struct blockset_change *c, struct block **added)
{
	uint32_t out = 0;
	for (uint32_t i = 0; i < s->blocks.n; i++) {
		struct block *b = s->blocks.data[i];
		if (!is_removed(c, &b->id)) {
			s->blocks.data[out++] = b;
			continue;
		}
		b->is_gone = true;
		s->bytes -= b->size;
		/* Nobody could make room by it any more: it is in no list. */
		if (b->n_users == 0)
			unload(s, b);
		unref(s, b);
	}
	s->blocks.n = out;
	for (uint32_t i = 0; i < c->n_added; i++) {
		s->blocks.data[s->blocks.n++] = added[i];
		s->bytes += added[i]->size;
	}
}

static int new_blocks(struct blockset *s, const struct blockset_change *c, struct block **ret)
{
	for (uint32_t i = 0; i < c->n_added; i++) {
		ret[i] = block_new(&c->added[i]);
		if (!ret[i])
			return -ENOMEM;
	}
	(void)pthread_mutex_lock(&s->lock);
	int r = vec_reserve(NULL, &s->blocks, c->n_added);
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

static void free_new(struct block **added, uint32_t n)
{
	for (uint32_t i = 0; added && i < n; i++) {
		if (added[i])
			free(added[i]->types);
		free(added[i]);
	}
	free(added);
}

/* After a manifest that may or may not be on disk: the old one again, and what only that one named goes. */
static int decide(struct blockset *s, struct error *err)
{
	bool unsure;
	int r = s->undecided.n ? manifest_write(s->dir_fd, &s->manifest, &unsure, err) : 0;
	while (r == 0 && s->undecided.n) {
		struct block_id id = s->undecided.data[--s->undecided.n];
		blockset_discard(s, &id);
	}
	return r;
}

/* Names the files, then writes the manifest, which is when they count. */
static int make_durable(struct blockset *s, const struct blockset_change *c, const struct manifest *next,
			struct error *err)
{
	bool unsure;
	int r = vec_reserve(NULL, &s->undecided, c->n_added);
	if (r < 0)
		return error_set(err, r, "no memory for the list of blocks");
	r = name_files(s, c, err);
	if (r < 0)
		return r;
	r = manifest_write(s->dir_fd, next, &unsure, err);
	for (uint32_t i = 0; r < 0 && unsure && i < c->n_added; i++)
		s->undecided.data[s->undecided.n++] = c->added[i].id;
	return r;
}

/* What was taken out of the list, and is read on, gets a name that a manifest made anew does not take up: what
 * replaced it may itself be gone by then, or there may be nothing that did. On disk before anyone is told that it is
 * out, and before what replaced it can be. A crash before that leaves blocks whose replacement names them. */
static void retire_files(struct blockset *s, const struct blockset_change *c)
{
	for (uint32_t i = 0; i < c->n_removed; i++) {
		char from[BLOCK_ID_HEX + 4], to[BLOCK_ID_HEX + 8];
		block_file_name(&c->removed[i]->id, from);
		temporary_name(&c->removed[i]->id, to);
		(void)!renameat(s->dir_fd, from, s->dir_fd, to);
	}
	if (c->n_removed)
		(void)fsync(s->dir_fd);
}

int blockset_publish(struct blockset *s, const struct blockset_change *c, struct blockset_pending *ret,
		     struct error *err)
{
	_cleanup_(manifest_done)
	struct manifest next = { 0 };
	struct block **added = calloc((size_t)c->n_added + 1, sizeof(*added));
	int r = added ? new_blocks(s, c, added) : -ENOMEM;
	if (r == 0)
		r = next_manifest(s, c, &next);
	if (r == -EDQUOT)
		(void)error_set(err, r, "%d blocks are the limit", MANIFEST_MAX_BLOCKS);
	else if (r < 0)
		(void)error_set(err, r, "no memory for the list of blocks");
	if (r == 0)
		r = decide(s, err);
	if (r == 0)
		r = make_durable(s, c, &next, err);
	if (r < 0) {
		free_new(added, c->n_added);
		return r;
	}
	retire_files(s, c);
	*ret = (struct blockset_pending){ c, added, next };
	next = (struct manifest){ 0 };
	return 0;
}

void blockset_swap(struct blockset *s, struct blockset_pending *p)
{
	(void)pthread_mutex_lock(&s->lock);
	manifest_done(&s->manifest);
	s->manifest = p->manifest;
	swap_list(s, p->change, p->added);
	(void)pthread_mutex_unlock(&s->lock);
	free(p->added);
}

/* ---- reading ---- */

int blockset_list(struct blockset *s, struct block ***ret, uint32_t *ret_n)
{
	(void)pthread_mutex_lock(&s->lock);
	struct block **list = malloc(((size_t)s->blocks.n + 1) * sizeof(struct block *));
	uint32_t n = list ? s->blocks.n : 0;
	for (uint32_t i = 0; i < n; i++) {
		list[i] = s->blocks.data[i];
		list[i]->n_refs++;
	}
	(void)pthread_mutex_unlock(&s->lock);
	*ret = list;
	*ret_n = n;
	return list ? 0 : -ENOMEM;
}

void blockset_release(struct blockset *s, struct block **blocks, uint32_t n)
{
	(void)pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < n; i++)
		unref(s, blocks[i]);
	(void)pthread_mutex_unlock(&s->lock);
	free(blocks);
}

/* The block that was not used for longest, of those that nobody uses. */
static struct block *oldest_unused(struct blockset *s)
{
	struct block *oldest = NULL;
	for (uint32_t i = 0; i < s->blocks.n; i++) {
		struct block *b = s->blocks.data[i];
		if (b->loaded && b->n_users == 0 && (!oldest || b->used_at < oldest->used_at))
			oldest = b;
	}
	return oldest;
}

/* Makes room for `size` bytes of tables. With the lock, which is given up while others use what there is. */
static void reserve_cache(struct blockset *s, size_t size)
{
	while (s->cache_used + size > s->cache_max) {
		struct block *b = oldest_unused(s);
		if (b)
			unload(s, b);
		else if (s->cache_used == 0)
			break;
		else
			(void)pthread_cond_wait(&s->unused, &s->lock);
	}
	s->cache_used += size;
}

/* What its tables take in memory, by what its sections say. */
static size_t tables_size(const struct block_file *f)
{
	const struct block_row *r = f->section;
	return TABLES_BASE + r[SECTION_STRINGS].size + (size_t)r[SECTION_STRINGS].n * (1 + sizeof(uint32_t)) +
	       (size_t)r[SECTION_NODES].n * 2 * sizeof(uint32_t) +
	       (size_t)r[SECTION_FRAMES].n * (sizeof(struct frame) + LINES_SIZE) +
	       (size_t)r[SECTION_MAPPINGS].n * sizeof(struct mapping) +
	       (size_t)r[SECTION_FUNCTIONS].n * sizeof(struct function) + r[SECTION_LABEL_SETS].size * 8 +
	       (size_t)r[SECTION_LABEL_SETS].n * sizeof(uint32_t) + r[SECTION_HOSTS].size * 8 +
	       (size_t)r[SECTION_LOSSES].n * sizeof(struct losses) +
	       (size_t)r[SECTION_SERIES].n * (sizeof(struct series) + sizeof(struct series_pages)) +
	       (size_t)r[SECTION_PAGES].n * sizeof(struct page);
}

/* The bytes of a section stand beside the table made of it. */
static size_t largest_section(const struct block_file *f)
{
	size_t largest = 0;
	for (int i = 1; i < N_SECTIONS; i++) {
		size_t size = f->section[i].size + f->section[i].stored_size * (f->master ? 2 : 1);
		largest = size > largest ? size : largest;
	}
	return largest;
}

/* One that was replaced meanwhile has its other name. */
static int open_held(struct blockset *s, const struct block *b, struct block_file *ret, struct error *err)
{
	char name[BLOCK_ID_HEX + 8];
	block_file_name(&b->id, name);
	int r = block_file_open(ret, s->dir_fd, name, s->keys, err);
	if (r != -ENOENT)
		return r;
	temporary_name(&b->id, name);
	return block_file_open(ret, s->dir_fd, name, s->keys, err);
}

static int plan(struct blockset *s, const struct block *b, size_t *ret, struct error *err)
{
	char id[BLOCK_ID_HEX];
	struct block_file f;
	int r = open_held(s, b, &f, err);
	if (r < 0)
		return r;
	/* Growing arrays are half as large again at most. */
	size_t size = tables_size(&f) / 2 * 3 + largest_section(&f);
	block_file_close(&f);
	block_id_format(&b->id, id);
	if (size > s->cache_max)
		return error_set(err, -ENOBUFS,
				 "%s.blk: its tables need %zu MiB, and all blocks have %zu MiB of --memory-limit", id,
				 size >> 20, s->cache_max >> 20);
	*ret = size;
	return 0;
}

static int load(struct blockset *s, struct block *b, struct block_part **ret, struct error *err)
{
	char name[BLOCK_ID_HEX + 8];
	struct block_part *part = calloc(1, sizeof(*part));
	if (!part)
		return -ENOMEM;
	block_file_name(&b->id, name);
	int r = block_part_load(part, s->dir_fd, name, s->keys, &b->budget, err);
	if (r == -ENOENT) {
		temporary_name(&b->id, name);
		r = block_part_load(part, s->dir_fd, name, s->keys, &b->budget, err);
	}
	if (r < 0)
		free(part);
	else
		*ret = part;
	return r;
}

/* Reads the tables; the lock is given up meanwhile. */
static int load_now(struct blockset *s, struct block *b, struct error *err)
{
	size_t size = 0;
	struct block_part *part = NULL;
	b->is_loading = true;
	(void)pthread_mutex_unlock(&s->lock);
	int r = plan(s, b, &size, err);
	(void)pthread_mutex_lock(&s->lock);
	if (r == 0) {
		reserve_cache(s, size);
		b->budget = membudget_of(size);
		(void)pthread_mutex_unlock(&s->lock);
		r = load(s, b, &part, err);
		(void)pthread_mutex_lock(&s->lock);
		if (r == 0) {
			/* What loading needed on the way is free again. */
			b->budget.max = b->budget.used + part->part.names.dict.frames.n * LINES_SIZE;
			s->cache_used -= size - b->budget.max;
			b->loaded = part;
		} else {
			s->cache_used -= size;
		}
		s->n_loads++;
	}
	if ((r == -EBADMSG || r == -EIO || r == -ENOENT) && !b->is_damaged) {
		b->is_damaged = true;
		s->n_damaged++;
	}
	b->is_loading = false;
	(void)pthread_cond_broadcast(&s->unused);
	return r;
}

int blockset_load(struct blockset *s, struct block *b, const struct part **ret, struct error *err)
{
	int r = 0;
	(void)pthread_mutex_lock(&s->lock);
	while (b->is_loading)
		(void)pthread_cond_wait(&s->unused, &s->lock);
	if (b->loaded)
		s->n_hits++;
	else
		r = load_now(s, b, err);
	if (r == 0) {
		b->n_users++;
		b->used_at = ++s->clock;
		*ret = &b->loaded->part;
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

void blockset_unload(struct blockset *s, struct block *b)
{
	(void)pthread_mutex_lock(&s->lock);
	if (--b->n_users == 0 && b->is_gone)
		unload(s, b);
	if (b->n_users == 0)
		(void)pthread_cond_broadcast(&s->unused);
	(void)pthread_mutex_unlock(&s->lock);
}

uint32_t blockset_read_keys(struct blockset *s, int64_t since_ms, int (*add)(void *arg, const struct key_row *row),
			    void *arg)
{
	struct membudget budget = membudget_of(s->cache_max);
	uint32_t n_failed = 0;
	for (uint32_t i = 0; i < s->blocks.n; i++) {
		const struct block *b = s->blocks.data[i];
		char name[BLOCK_ID_HEX + 4];
		struct block_file f;
		if (b->arrived_to_ms < since_ms)
			continue;
		block_file_name(&b->id, name);
		int r = block_file_open(&f, s->dir_fd, name, s->keys, NULL);
		if (r == 0)
			r = block_read_keys(&f, add, arg, &budget, NULL);
		block_file_close(&f);
		n_failed += r < 0;
	}
	return n_failed;
}

uint64_t blockset_bytes(struct blockset *s)
{
	(void)pthread_mutex_lock(&s->lock);
	uint64_t bytes = s->bytes;
	(void)pthread_mutex_unlock(&s->lock);
	return bytes;
}

void blockset_get_stats(struct blockset *s, struct blockset_stats *ret)
{
	(void)pthread_mutex_lock(&s->lock);
	*ret = (struct blockset_stats){
		.n_blocks = s->blocks.n,
		.n_damaged = s->n_damaged,
		.cache_used = s->cache_used,
		.cache_max = s->cache_max,
		.n_loads = s->n_loads,
		.n_hits = s->n_hits,
		.bytes = s->bytes,
	};
	for (uint32_t i = 0; i < s->blocks.n; i++) {
		const struct block *b = s->blocks.data[i];
		ret->n_profiles += b->n_profiles;
		if (i == 0 || b->from_ms < ret->oldest_ms)
			ret->oldest_ms = b->from_ms;
		if (i == 0 || b->to_ms > ret->newest_ms)
			ret->newest_ms = b->to_ms;
	}
	(void)pthread_mutex_unlock(&s->lock);
}
