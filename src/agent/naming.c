/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/naming.h"

#include "base/file.h"
#include "object/demangle.h"
#include "object/kallsyms.h"
#include "object/perfmap.h"
#include "object/symbols.h"
#include "object/symcache.h"

#include <errno.h>
#include <sys/stat.h>

#define BATCH SYMBOLS_MAX_BATCH
/* Numbers of objects in the cache: a serial below, what voids its ranges above. */
#define KERNEL_OBJECT	 0xffffffffull
#define GENERATION_SHIFT 32

struct naming {
	struct symcache *cache;
	const char *temp_dir;
	struct kallsyms *kallsyms;
	bool kallsyms_tried;
	struct error kernel_problem;
	char kernel_build_id[ELF_BUILD_ID_HEX];
	struct naming_stats stats;
	uint64_t object; /* under which ranges are being put */
	bool may_grow;	 /* what has no name now may get one: do not keep that */
	/* One batch at a time. */
	uint64_t addrs[BATCH];
	char demangled[DEMANGLE_BUF];
	char name[SYMBOL_NAME_MAX];
};

static void read_kernel_build_id(struct naming *n)
{
	_cleanup_(buf_done)
	struct buf notes = buf_of(64 << 10);
	uint8_t id[ELF_BUILD_ID_MAX];
	if (file_read("/sys/kernel/notes", &notes, NULL) < 0)
		return;
	uint32_t size = elf_notes_build_id(slice_of(notes.data, notes.n), id);
	for (uint32_t i = 0; i < size; i++)
		(void)snprintf(n->kernel_build_id + (size_t)2 * i, 3, "%02x", id[i]);
}

struct naming *naming_new(size_t cache_size, const char *temp_dir)
{
	_cleanup_(naming_free)
	struct naming *n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->temp_dir = temp_dir;
	n->cache = symcache_new(cache_size, NULL);
	if (!n->cache)
		return NULL;
	read_kernel_build_id(n);
	return take_ptr(n);
}

void naming_free(struct naming **n)
{
	if (!*n)
		return;
	symcache_free(&(*n)->cache);
	kallsyms_free(&(*n)->kallsyms);
	free(*n);
	*n = NULL;
}

/* Keeps one answer, readable name first. */
static int put_range(void *arg, const struct symrange *range)
{
	struct naming *n = arg;
	struct symrange kept = *range;
	if (n->may_grow && range->name.size == 0)
		return 0;
	kept.name = demangle(range->name, n->demangled);
	if (!slice_eq(kept.name, range->name) && kept.name.size + 1 + range->name.size <= sizeof(n->name)) {
		memcpy(n->name, kept.name.data, kept.name.size);
		n->name[kept.name.size] = 0;
		memcpy(n->name + kept.name.size + 1, range->name.data, range->name.size);
		kept.name = slice_of(n->name, kept.name.size + 1 + range->name.size);
	}
	symcache_put(n->cache, n->object, &kept);
	return 0;
}

static struct kallsyms *open_kallsyms(struct naming *n)
{
	if (!n->kallsyms && !n->kallsyms_tried &&
	    kallsyms_open("/proc/kallsyms", n->temp_dir, &n->kallsyms, &n->kernel_problem) < 0)
		n->stats.n_failed++;
	n->kallsyms_tried = true;
	return n->kallsyms;
}

/* A runtime's map only grows, by as much as the program lives. Searching it
 * is worth it when it has grown; names found before are kept until it has
 * grown by a quarter, as code may have moved since. */
static bool perfmap_has_news(struct process *p)
{
	struct stat st;
	if (p->perfmap_fd < 0 || fstat(p->perfmap_fd, &st) < 0 || st.st_size <= 0)
		return false;
	uint64_t size = (uint64_t)st.st_size;
	bool news = size != p->perfmap_size;
	p->perfmap_size = size;
	return news;
}

static uint64_t perfmap_object(struct process *p)
{
	struct stat st;
	if (p->perfmap_fd >= 0 && fstat(p->perfmap_fd, &st) == 0 &&
	    (uint64_t)st.st_size > p->perfmap_epoch_size + p->perfmap_epoch_size / 4) {
		p->perfmap_epoch_size = (uint64_t)st.st_size;
		p->perfmap_epoch++;
	}
	return p->serial | (uint64_t)p->perfmap_epoch << GENERATION_SHIFT;
}

static uint64_t cache_object(struct naming *n, const struct window_object *o)
{
	switch (o->kind) {
	case OBJECT_FILE:
		return o->binary->serial;
	case OBJECT_KERNEL:
		return KERNEL_OBJECT | (uint64_t)(open_kallsyms(n) ? kallsyms_generation(n->kallsyms) : 0)
					       << GENERATION_SHIFT;
	case OBJECT_CODE:
		return perfmap_object(o->process);
	case OBJECT_NONE:
	case OBJECT_SYNTHETIC:
		break;
	}
	return 0;
}

static int look_up_file(struct naming *n, struct binary *b, uint32_t n_addrs, struct symrange_sink sink)
{
	struct elf elf;
	int fd = binary_fd(b);
	int r = fd < 0 ? -ENOENT : elf_init(&elf, fd, NULL);
	if (r < 0)
		return r;
	_cleanup_(close_fd)
	int root = elf.symtab.size ? -1 : binary_open_root(b);
	struct symbols_env env = { { root, b->path }, n->temp_dir };
	return symbols_lookup(&elf, &env, n->addrs, n_addrs, sink, NULL);
}

/* Asks the object's source for the first `n_addrs` of n->addrs. */
static int look_up(struct naming *n, const struct window_object *o, uint32_t n_addrs)
{
	struct symrange_sink sink = { put_range, n };
	switch (o->kind) {
	case OBJECT_FILE:
		return look_up_file(n, o->binary, n_addrs, sink);
	case OBJECT_KERNEL:
		return n->kallsyms ? kallsyms_lookup(n->kallsyms, n->addrs, n_addrs, sink, NULL) : -ENOENT;
	case OBJECT_CODE:
		if (!perfmap_has_news(o->process))
			return 0;
		return perfmap_lookup(o->process->perfmap_fd, n->addrs, n_addrs, sink, NULL, NULL);
	case OBJECT_NONE:
	case OBJECT_SYNTHETIC:
		break;
	}
	return 0;
}

static int keep_name(struct window *w, struct window_place *p, const struct symrange *range)
{
	int r = 0;
	const uint8_t *zero = range->name.size ? memchr(range->name.data, 0, range->name.size) : NULL;
	struct slice readable = range->name, raw = range->name;
	if (zero) {
		size_t n = (size_t)(zero - range->name.data);
		readable = slice_of(range->name.data, n);
		raw = slice_of(zero + 1, range->name.size - n - 1);
	}
	r = strtab_intern(&w->strings, readable, &p->name);
	if (r == 0)
		r = strtab_intern(&w->strings, raw, &p->system_name);
	if (r == 0 && range->module.size)
		r = strtab_intern(&w->strings, range->module, &p->module);
	return r;
}

/* Names from the cache; *ret_missed counts addresses it does not know, the
 * first BATCH of which are put into n->addrs. */
static int from_cache(struct naming *n, struct window *w, const uint32_t *places, uint32_t n_places,
		      uint32_t *ret_missed)
{
	uint32_t n_missed = 0;
	for (uint32_t i = 0; i < n_places; i++) {
		struct window_place *p = &w->places.data[places[i]];
		struct symrange range;
		if (p->name.v)
			continue;
		if (symcache_find(n->cache, n->object, p->addr, &range)) {
			int r = keep_name(w, p, &range);
			if (r < 0)
				return r;
		} else if (n_missed < BATCH) {
			n->addrs[n_missed++] = p->addr;
		}
	}
	*ret_missed = n_missed;
	return 0;
}

static int name_object(struct naming *n, struct window *w, const struct window_object *o, const uint32_t *places,
		       uint32_t n_places)
{
	uint32_t n_missed, n_before = UINT32_MAX;
	n->object = cache_object(n, o);
	n->may_grow = o->kind == OBJECT_CODE;
	if (n->object == 0)
		return 0;
	int r = from_cache(n, w, places, n_places, &n_missed);
	/* More than a batch needs several rounds, each of which has to get on. */
	while (r == 0 && n_missed > 0 && (n_missed == BATCH || n_before == UINT32_MAX)) {
		n_before = n_missed;
		n->stats.n_lookups++;
		uint64_t first = n->addrs[0];
		/* A source that failed may have come behind others. */
		bool failed = look_up(n, o, n_missed) < 0;
		n->stats.n_failed += failed;
		r = from_cache(n, w, places, n_places, &n_missed);
		if (failed || (n_missed && n->addrs[0] == first))
			break;
	}
	return r;
}

static int by_object_and_address(const void *a, const void *b, void *arg)
{
	const struct window *w = arg;
	const struct window_place *p = &w->places.data[*(const uint32_t *)a],
				  *q = &w->places.data[*(const uint32_t *)b];
	if (p->object != q->object)
		return p->object < q->object ? -1 : 1;
	return p->addr < q->addr ? -1 : p->addr > q->addr;
}

static void refresh_kallsyms(struct naming *n, int64_t now_ns)
{
	/* On failure the old index is what there is. */
	if (n->kallsyms && kallsyms_refresh_due(n->kallsyms, now_ns) && kallsyms_refresh(n->kallsyms, now_ns, NULL) < 0)
		n->stats.n_failed++;
}

static void count_unnamed(struct naming *n, const struct window *w)
{
	for (uint32_t i = 1; i < w->places.n; i++) {
		const struct window_place *p = &w->places.data[i];
		if (w->objects.data[p->object].kind == OBJECT_SYNTHETIC)
			continue;
		n->stats.n_places++;
		n->stats.n_unnamed += p->name.v == 0;
	}
}

int naming_window(struct naming *n, struct window *w, int64_t now_ns)
{
	uint32_t n_places = w->places.n - 1;
	_cleanup_(free_ptr)
	uint32_t *order = calloc(n_places ? n_places : 1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_places; i++)
		order[i] = i + 1;
	qsort_r(order, n_places, sizeof(*order), by_object_and_address, w);
	refresh_kallsyms(n, now_ns);
	int r = 0;
	for (uint32_t from = 0, to; from < n_places && r == 0; from = to) {
		uint32_t object = w->places.data[order[from]].object;
		for (to = from + 1; to < n_places && w->places.data[order[to]].object == object; to++)
			;
		r = name_object(n, w, &w->objects.data[object], order + from, to - from);
	}
	count_unnamed(n, w);
	return r;
}

void naming_forget(struct naming *n)
{
	symcache_clear(n->cache);
}

const char *naming_kernel_build_id(const struct naming *n)
{
	return n->kernel_build_id;
}

const char *naming_kernel_problem(const struct naming *n)
{
	return n->kallsyms_tried && !n->kallsyms ? n->kernel_problem.text : NULL;
}

struct naming_stats naming_stats(const struct naming *n)
{
	return n->stats;
}
