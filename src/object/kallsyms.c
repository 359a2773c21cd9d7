/* SPDX-License-Identifier: Apache-2.0 */
#include "object/kallsyms.h"

#include "object/kallsyms_build.h"

#include "base/clock.h"
#include "object/filewin.h"

#include <errno.h>

#define PAGE	       ((uint64_t)4096)
#define MAX_GAP	       ((uint64_t)1 << 20) /* no kernel function is larger */
#define KERNEL_HALF    ((uint64_t)1 << 63)
#define REFRESH_MIN_NS ((int64_t)60 * 1000000000)
#define REFRESH_MAX_NS ((int64_t)3600 * 1000000000)
#define NEAR_RECORDS   64 /* read at once when the search is this close */

struct kallsyms {
	struct kallsyms_index index;
	char *path, *temp_dir; /* temp_dir may be NULL */
	uint32_t generation, n_refreshes;
	uint64_t n_misses;
	bool missed; /* since the last build */
	int64_t built_ns, interval_ns;
};

int kallsyms_open(const char *path, const char *temp_dir, struct kallsyms **ret, struct error *err)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = calloc(1, sizeof(*k));
	if (!k)
		return error_set(err, -ENOMEM, "no memory for the kernel's symbols");
	k->index = kallsyms_index_empty();
	k->path = strdup(path);
	k->temp_dir = temp_dir ? strdup(temp_dir) : NULL;
	if (!k->path || (temp_dir && !k->temp_dir))
		return error_set(err, -ENOMEM, "no memory for the kernel's symbols");
	int r = kallsyms_build(k->path, k->temp_dir, &k->index, err);
	if (r < 0)
		return r;
	k->generation = 1;
	k->built_ns = clock_mono_ns();
	k->interval_ns = REFRESH_MIN_NS;
	*ret = take_ptr(k);
	return 0;
}

void kallsyms_free(struct kallsyms **k)
{
	if (!*k)
		return;
	kallsyms_index_done(&(*k)->index);
	free((*k)->path);
	free((*k)->temp_dir);
	free(take_ptr(*k));
}

static int read_records(const struct kallsyms_index *x, uint32_t i, uint32_t n, struct kallsyms_record *ret)
{
	uint8_t *out = (uint8_t *)ret;
	size_t size = n * sizeof(*ret), done = 0;
	uint64_t off = x->records_off + (uint64_t)i * sizeof(*ret);
	while (done < size) {
		ssize_t r = pread(x->fd, out + done, size - done, (off_t)(off + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -ENODATA;
		done += (size_t)r;
	}
	return 0;
}

/* The symbols on both sides of an address: `before` starts at or below it. */
struct neighbours {
	struct kallsyms_record before, after;
	bool has_before, has_after;
};

/* Binary search for the first record above `addr`; the last steps are taken
 * in memory. */
static int find_neighbours(const struct kallsyms_index *x, uint64_t addr, struct neighbours *ret)
{
	struct kallsyms_record near[NEAR_RECORDS + 1];
	uint32_t lo = 0, hi = x->n; /* records [0, lo) <= addr, [hi, n) > addr */
	while (hi - lo >= NEAR_RECORDS) {
		uint32_t mid = lo + (hi - lo) / 2;
		int r = read_records(x, mid, 1, near);
		if (r < 0)
			return r;
		if (near[0].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	uint32_t first = lo ? lo - 1 : 0;
	uint32_t n = (hi < x->n ? hi + 1 : hi) - first;
	int r = read_records(x, first, n, near);
	if (r < 0)
		return r;
	uint32_t i = 0;
	while (i < n && near[i].addr <= addr)
		i++;
	*ret = (struct neighbours){ .has_before = i > 0, .has_after = i < n };
	if (i > 0)
		ret->before = near[i - 1];
	if (i < n)
		ret->after = near[i];
	return 0;
}

/* Where `before` ends: at its neighbour, but see kallsyms.h on gaps. */
static uint64_t symbol_end(const struct neighbours *b)
{
	uint64_t next = b->has_after ? b->after.addr : UINT64_MAX;
	bool gap = !b->has_after || b->after.module != b->before.module || next - b->before.addr > MAX_GAP;
	uint64_t start = b->before.addr;
	if (!gap || start > UINT64_MAX - 2 * PAGE)
		return next;
	uint64_t end = (start & ~(PAGE - 1)) + 2 * PAGE;
	return end < next ? end : next;
}

/* Fills `ret` but for the name; false when no symbol holds `addr`. */
static bool range_of(const struct neighbours *b, uint64_t addr, struct symrange *ret)
{
	uint64_t end = b->has_before ? symbol_end(b) : 0;
	if (addr < end) {
		*ret = (struct symrange){ .start = b->before.addr, .end = end };
		return true;
	}
	*ret = (struct symrange){ .start = end, .end = b->has_after ? b->after.addr : UINT64_MAX };
	return false;
}

static int lookup_one(struct kallsyms *k, struct filewin *names, uint64_t addr, struct symrange *ret)
{
	struct neighbours b;
	int r = find_neighbours(&k->index, addr, &b);
	if (r < 0)
		return r;
	if (!range_of(&b, addr, ret)) {
		k->n_misses++;
		k->missed |= addr >= KERNEL_HALF;
		return 0;
	}
	const void *name = filewin_at(names, b.before.name_off, b.before.name_size);
	if (!name)
		return names->error ? names->error : -ENODATA;
	ret->name = slice_of(name, b.before.name_size);
	ret->module = strtab_get(&k->index.modules, (struct str_id){ b.before.module });
	return 0;
}

int kallsyms_lookup(struct kallsyms *k, const uint64_t *addrs, uint32_t n, struct symrange_sink sink, struct error *err)
{
	if (n == 0)
		return 0;
	_cleanup_(filewin_done)
	struct filewin names;
	int r = filewin_init(&names, k->index.fd, k->index.records_off, SYMBOL_NAME_MAX);
	if (r < 0)
		return error_set(err, r, "no memory to read kernel symbols");
	uint64_t done = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (addrs[i] < done || addrs[i] == SYMRANGE_NO_ADDRESS)
			continue;
		struct symrange range = { 0 };
		r = lookup_one(k, &names, addrs[i], &range);
		if (r < 0)
			return error_set(err, r, "cannot read the index of kernel symbols: %s", strerror(-r));
		r = sink.put(sink.arg, &range);
		if (r < 0)
			return r;
		done = range.end;
	}
	return 0;
}

bool kallsyms_refresh_due(const struct kallsyms *k, int64_t now_ns)
{
	return k->missed && now_ns - k->built_ns >= k->interval_ns;
}

int kallsyms_refresh(struct kallsyms *k, int64_t now_ns, struct error *err)
{
	struct kallsyms_index fresh = kallsyms_index_empty();
	k->built_ns = now_ns; /* a failure is not repeated at once either */
	int r = kallsyms_build(k->path, k->temp_dir, &fresh, err);
	bool changed = r == 0 && (fresh.n != k->index.n || fresh.checksum != k->index.checksum);
	if (changed)
		k->interval_ns = REFRESH_MIN_NS;
	else if (k->interval_ns < REFRESH_MAX_NS)
		k->interval_ns = k->interval_ns * 2 < REFRESH_MAX_NS ? k->interval_ns * 2 : REFRESH_MAX_NS;
	if (r < 0)
		return r;
	kallsyms_index_done(&k->index);
	k->index = fresh;
	k->missed = false;
	k->n_refreshes++;
	if (changed)
		k->generation++;
	return 0;
}

uint32_t kallsyms_generation(const struct kallsyms *k)
{
	return k->generation;
}

struct kallsyms_stats kallsyms_stats(const struct kallsyms *k)
{
	return (struct kallsyms_stats){
		.n_symbols = k->index.n,
		.n_modules = strtab_count(&k->index.modules) - 1,
		.n_refreshes = k->n_refreshes,
		.n_bad_lines = k->index.n_bad_lines,
		.file_size = k->index.records_off + (uint64_t)k->index.n * sizeof(struct kallsyms_record),
		.n_misses = k->n_misses,
	};
}
