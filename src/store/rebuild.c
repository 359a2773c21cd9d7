/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rebuild.h"

#include "store/block_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>

struct block_ids {
	struct block_id *data;
	uint32_t n, cap;
};

struct work {
	int dir;
	const struct keyring *keys;
	struct rebuild *ret;
	struct block_ids replaced;
	uint64_t seed_seq; /* last_seq of the block that said the seed */
};

bool rebuild_is_whole(int result)
{
	return result == -EPROTONOSUPPORT || result == -ENOKEY || result == -EKEYREJECTED;
}

bool rebuild_parse_name(const char *name, struct block_id *ret)
{
	size_t n = strlen(name);
	return n == BLOCK_ID_HEX + 3 && strcmp(name + n - 4, ".blk") == 0 &&
	       block_id_parse(slice_of(name, BLOCK_ID_HEX - 1), ret);
}

static DIR *open_dir(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		close_fd(&fd);
	return d;
}

bool rebuild_has_blocks(int dir)
{
	DIR *d = open_dir(dir);
	bool any = false;
	for (const struct dirent *e; d && !any && (e = readdir(d));) {
		struct block_id id;
		any = rebuild_parse_name(e->d_name, &id);
	}
	if (d)
		(void)closedir(d);
	return any;
}

static int take_meta(struct work *w, const struct block_meta *b)
{
	struct manifest *m = &w->ret->manifest;
	if (b->last_seq > m->last_seq)
		m->last_seq = b->last_seq;
	/* Should two differ: the older one is that of keys that were lost before. */
	if (b->key_seed && (!w->ret->has_key_seed || b->last_seq > w->seed_seq)) {
		m->key_seed = b->key_seed;
		w->seed_seq = b->last_seq;
		w->ret->has_key_seed = true;
	}
	int r = vec_reserve(NULL, &w->replaced, b->n_replaces);
	for (uint32_t i = 0; r == 0 && i < b->n_replaces; i++)
		w->replaced.data[w->replaced.n++] = b->replaces[i];
	return r;
}

/* Lists a block by its name: one that cannot be read stays, and is told of as any that is listed. Of
 * one that only we cannot read, nobody knows what it replaces. */
static int take_block(struct work *w, const char *name, const struct block_id *id, struct error *err)
{
	struct block_file f;
	struct error why;
	struct manifest *m = &w->ret->manifest;
	int r = vec_reserve(NULL, &m->blocks, 1);
	if (r < 0)
		return error_set(err, r, "no memory for the list of blocks");
	m->blocks.data[m->blocks.n++] = *id;
	r = block_file_open(&f, w->dir, name, w->keys, &why);
	if (rebuild_is_whole(r) && err)
		*err = why;
	if (r < 0)
		return rebuild_is_whole(r) ? r : 0;
	if (block_id_eq(&f.meta.id, id))
		r = take_meta(w, &f.meta);
	block_file_close(&f);
	return r < 0 ? error_set(err, r, "no memory for the list of blocks") : 0;
}

static int compare_id(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct block_id));
}

static void leave_out_replaced(struct work *w)
{
	struct manifest *m = &w->ret->manifest;
	struct block_ids *replaced = &w->replaced;
	uint32_t out = 0;
	if (!replaced->n)
		return;
	qsort(replaced->data, replaced->n, sizeof(struct block_id), compare_id);
	for (uint32_t i = 0; i < m->blocks.n; i++) {
		struct block_id id = m->blocks.data[i];
		if (!bsearch(&id, replaced->data, replaced->n, sizeof(id), compare_id))
			m->blocks.data[out++] = id;
	}
	m->blocks.n = out;
}

static int new_identity(struct rebuild *ret, struct error *err)
{
	struct manifest *m = &ret->manifest;
	if (block_id_random(&m->store) < 0 ||
	    getrandom(&m->key_seed, sizeof(m->key_seed), 0) != (ssize_t)sizeof(uint64_t))
		return error_set(err, -EIO, "no random numbers: %m");
	return 0;
}

int rebuild_manifest(int dir, const struct keyring *keys, struct rebuild *ret, struct error *err)
{
	*ret = (struct rebuild){ 0 };
	struct work w = { .dir = dir, .keys = keys, .ret = ret };
	int r = new_identity(ret, err);
	DIR *d = r == 0 ? open_dir(dir) : NULL;
	if (r == 0 && !d)
		return error_set(err, -errno, "the folder cannot be read: %m");
	for (const struct dirent *e; r == 0 && (e = readdir(d));) {
		struct block_id id;
		if (rebuild_parse_name(e->d_name, &id))
			r = take_block(&w, e->d_name, &id, err);
	}
	if (d)
		(void)closedir(d);
	leave_out_replaced(&w);
	vec_done(NULL, &w.replaced);
	return r;
}
