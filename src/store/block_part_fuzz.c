/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a block: it is read whole, at all resolutions, and merged with
 * itself, within its memory. So that the fuzzer gets behind the hashes, they are
 * all 0 here (--wrap=block_hash), and where the first byte asks for it header and
 * trailer are made to fit the rest. Seeds are blocks written so, with nothing
 * packed. */
#include "store/block_build.h"
#include "store/block_part.h"
#include "store/scan.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <sys/mman.h>

#define MEMORY ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
uint64_t __wrap_block_hash(uint64_t seed, struct slice bytes);
int __wrap_openat64(int dir, const char *name, int flags, ...);

static int block_fd = -1;

uint64_t __wrap_block_hash(uint64_t seed, struct slice bytes)
{
	(void)seed;
	(void)bytes;
	return 0;
}

/* There is one file. */
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	(void)dir;
	(void)name;
	(void)flags;
	return fcntl(block_fd, F_DUPFD_CLOEXEC, 0);
}

/* Header, hashes of sections and trailer as they ought to be. */
static void make_whole(uint8_t *bytes, size_t size)
{
	static const struct block_id id = { { 1 } };
	uint64_t off;
	uint32_t n;
	if (size < BLOCK_HEADER_SIZE + BLOCK_TRAILER_SIZE)
		return;
	block_header_write(&id, "", bytes);
	memcpy(&off, bytes + size - BLOCK_TRAILER_SIZE, sizeof(off));
	memcpy(&n, bytes + size - BLOCK_TRAILER_SIZE + 8, sizeof(n));
	off = le64toh(off);
	n = le32toh(n);
	if (off > size - BLOCK_TRAILER_SIZE || n > BLOCK_MAX_SECTIONS ||
	    size - BLOCK_TRAILER_SIZE - off != (uint64_t)n * BLOCK_ROW_SIZE)
		return;
	for (uint32_t i = 0; i < n; i++)
		memset(bytes + off + (size_t)i * BLOCK_ROW_SIZE + 32, 0, 8);
	block_trailer_write(&id, off, slice_of(bytes + off, (size_t)n * BLOCK_ROW_SIZE),
			    bytes + size - BLOCK_TRAILER_SIZE);
}

static uint64_t look_at_names(const struct part *p)
{
	const struct dict *d = &p->names.dict;
	uint64_t sum = 0;
	for (uint32_t i = 1; i < dict_n_nodes(d); i++) {
		assert(d->node_parent.data[i].v < i && d->node_frame.data[i].v < d->frames.n);
		sum += d->node_frame.data[i].v;
	}
	for (uint32_t i = 0; i < d->frames.n; i++)
		assert(d->frames.data[i].function.v < d->functions.n && d->frames.data[i].mapping.v < d->mappings.n);
	for (uint32_t i = 0; i < d->functions.n; i++)
		sum += part_string(p, d->functions.data[i].name).size + part_string(p, d->functions.data[i].file).size;
	for (uint32_t i = 0; i < d->mappings.n; i++)
		sum += part_string(p, d->mappings.data[i].path).size +
		       part_string(p, d->mappings.data[i].build_id).size;
	for (uint32_t i = 0; i < part_n_label_sets(p); i++) {
		uint32_t n;
		const struct label *l = profile_label_set(&p->names, (struct labels_id){ i }, &n);
		for (uint32_t k = 0; k < n; k++)
			sum += part_string(p, l[k].key).size + part_string(p, l[k].str).size +
			       part_string(p, l[k].unit).size;
	}
	for (uint32_t i = 0; i < p->hosts.n; i++) {
		sum += part_string(p, p->hosts.data[i].name).size;
		for (uint32_t k = 0; k < p->hosts.data[i].windows.n; k++) {
			const struct window *w = &p->hosts.data[i].windows.data[k];
			assert(w->source < p->sources.n && w->losses < p->losses.n);
		}
	}
	return sum;
}

static int look_at_chunk(struct scan *s)
{
	const struct part *p = s->part;
	struct rows rows;
	const struct observation *o;
	uint32_t n;
	int r = scan_rows(s, &rows);
	if (r != 1)
		return r;
	for (uint32_t i = 0; i < rows.n; i++)
		assert(rows.node[i] < dict_n_nodes(&p->names.dict) &&
		       (!rows.labels || rows.labels[i] < part_n_label_sets(p)));
	r = scan_times(s, &rows, &o, &n);
	for (uint32_t i = 0; r == 1 && i < n; i++)
		assert(o[i].row < rows.n);
	return r;
}

static void look_at_chunks(const struct part *p, const struct scan_options *o, struct membudget *budget)
{
	struct scan s;
	int r = scan_init(&s, p, o, budget);
	for (uint32_t i = 0; r >= 0 && i < p->series.n; i++) {
		assert(p->series.data[i].host < p->hosts.n);
		r = scan_series(&s, i);
		while (r >= 0 && (r = scan_next(&s)) == 1)
			r = look_at_chunk(&s);
	}
	scan_done(&s);
}

static void merge_with_itself(const struct part *p, uint32_t n, bool is_all, const struct block_meta *of)
{
	const struct part *parts[] = { p, p };
	struct membudget budget = membudget_of(MEMORY);
	struct build_options o = {
		.from_ms = is_all ? INT64_MIN / 8 : of->from_ms,
		.to_ms = is_all ? INT64_MAX / 8 : of->from_ms / 2 + of->to_ms / 2,
		.is_all = is_all,
		.coarsest = RES_DAY,
		.zstd_level = 1,
		.budget = &budget,
	};
	struct block_meta meta = { .id = { { 2 } } };
	struct build_report report;
	int fd = memfd_create("merged", MFD_CLOEXEC);
	if (fd < 0)
		return;
	(void)!block_build(parts, n, &o, fd, &meta, &report, NULL);
	(void)close(fd);
	assert(budget.used == 0 && budget.peak <= budget.max);
}

static int see_key(void *arg, const struct key_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

static void look(void)
{
	struct block_part b;
	struct membudget budget = membudget_of(MEMORY), scan_budget = membudget_of(MEMORY);
	if (block_part_load(&b, 0, "block", NULL, &budget, NULL) == 0) {
		const struct block_meta *m = &b.pages.file.meta;
		const struct scan_options all[] = {
			{ .from_ms = INT64_MIN, .to_ms = INT64_MAX, .coarsest = RES_DAY },
			{ .from_ms = INT64_MIN, .to_ms = INT64_MAX, .finest = RES_HOUR, .coarsest = RES_HOUR },
			{ .from_ms = m->from_ms + 1, .to_ms = m->to_ms, .coarsest = RES_DAY, .grid_ms = 60000 },
			{ .from_ms = m->from_ms, .to_ms = m->from_ms + 1000, .coarsest = RES_5MIN, .is_ordered = true },
			{ .from_ms = INT64_MIN, .to_ms = INT64_MAX },
		};
		(void)look_at_names(&b.part);
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			look_at_chunks(&b.part, &all[i], &scan_budget);
		(void)!block_read_keys(&b.pages.file, see_key, NULL, &scan_budget, NULL);
		merge_with_itself(&b.part, 1, true, m);
		merge_with_itself(&b.part, 2, false, m);
		block_part_done(&b);
	}
	assert(budget.used == 0 && budget.peak <= budget.max);
	assert(scan_budget.used == 0 && scan_budget.peak <= scan_budget.max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	_cleanup_(buf_done)
	struct buf file = buf_of(65536);
	buf_add(&file, data + 1, size - 1);
	if (data[0] & 1 && file.n)
		make_whole(file.data, file.n);
	block_fd = memfd_create("block", MFD_CLOEXEC);
	if (block_fd < 0 || pwrite(block_fd, file.data, file.n, 0) != (ssize_t)file.n)
		abort();
	look();
	(void)close(block_fd);
	return 0;
}
