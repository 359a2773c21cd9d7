/* SPDX-License-Identifier: Apache-2.0 */
#include "store/testblock.h"

#include "store/scan.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- profiles ---- */

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static struct str_id text(struct profile *p, const char *s)
{
	struct str_id id;
	assert_int_equal(strtab_intern_str(&p->dict.strings, s, &id), 0);
	return id;
}

/* Some frames have a name only, some an address only. */
static struct frame_id any_frame(struct profile *p, uint32_t v)
{
	struct frame_id frame;
	if (v % 3 == 0) {
		struct mapping m = { .limit = 0x10000, .path = text(p, "/bin/app"), .build_id = text(p, "ab12") };
		struct frame row = { .address = 0x1000 + v % 8 * 16, .kind = FRAME_USER, .found = 1 };
		assert_int_equal(dict_mapping(&p->dict, &m, &row.mapping), 0);
		assert_int_equal(dict_frame(&p->dict, &row, &frame), 0);
		return frame;
	}
	char name[16];
	(void)snprintf(name, sizeof(name), "f%u", v % 16);
	assert_int_equal(dict_named_frame(&p->dict, slice_str(name), FRAME_USER, &frame), 0);
	return frame;
}

static struct labels_id any_labels(struct profile *p, uint32_t v)
{
	struct labels_id id = { 0 };
	struct label set[2] = { { .key = text(p, "pid"), .is_num = 1, .num = v % 3 },
				{ .key = text(p, "thread_name"), .str = text(p, v % 2 ? "main" : "worker") } };
	if (v % 4)
		assert_int_equal(profile_labels(p, set, 1 + v % 2, &id), 0);
	return id;
}

static void fill_profile(struct profile *p, uint32_t *seed, int64_t from_ms)
{
	uint32_t n = next(seed) % 6;
	bool has_times = next(seed) % 3 == 0;
	for (uint32_t i = 0; i < n; i++) {
		struct node_id node = { 0 };
		int64_t value[2] = { (int64_t)(next(seed) % 100) * 10000000, next(seed) % 100 };
		uint32_t depth = 1 + next(seed) % 4;
		for (uint32_t d = 0; d < depth; d++)
			assert_int_equal(dict_node(&p->dict, node, any_frame(p, next(seed)), &node), 0);
		int64_t time_ns = has_times ? (from_ms + next(seed) % 10000) * 1000000 : 0;
		assert_int_equal(profile_add_sample_at(p, node, any_labels(p, next(seed)), value, time_ns), 0);
	}
}

void testblock_fill(struct head *h, uint32_t seed, unsigned n, int64_t from_ms, int64_t step_ms)
{
	static const char *const services[] = { "api", "db", "web" }, *const hosts[] = { "a", "b" };
	for (unsigned i = 0; i < n; i++) {
		struct intake in = { .received_ms = from_ms + i * step_ms + 20000 };
		struct intake_profile ip = { .keep = 1 + next(&seed) % 3, .from_ms = from_ms + i * step_ms };
		struct profile *p = &ip.profile;
		struct staged staged;
		in.label[SERIES_SERVICE] = slice_str(services[next(&seed) % 3]);
		in.label[SERIES_HOST] = slice_str(hosts[next(&seed) % 2]);
		ip.to_ms = ip.from_ms + (next(&seed) % 5 ? 10000 : 0);
		assert_int_equal(profile_init(p, NULL), 0);
		assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
		assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
		if (next(&seed) % 2)
			assert_int_equal(profile_add_comment(p, slice_str("wick.window source=test cpus=2 samples=10 "
									  "ring_full=1")),
					 0);
		fill_profile(p, &seed, ip.from_ms);
		assert_int_equal(head_prepare(h, &in, &ip, &staged, NULL), 0);
		staged.seq = h->last_seq + 1;
		staged.key =
			(struct key_ref){ .is_set = true, .row = { { next(&seed), next(&seed) }, in.received_ms } };
		head_publish(h, &staged);
		intake_profile_done(&ip);
	}
}

const struct master_key *testblock_seal_with;

void testblock_write(int dir, const struct part *const *parts, uint32_t n, enum resolution finest,
		     enum resolution coarsest, struct block_meta *meta)
{
	static const struct block_id none;
	struct membudget budget = membudget_of(64 << 20);
	struct build_options o = {
		.to_ms = INTAKE_TIME_MAX_MS,
		.is_all = true,
		.finest = finest,
		.coarsest = coarsest,
		.zstd_level = 1,
		.seal_with = testblock_seal_with,
		.budget = &budget,
	};
	struct error err = { "" };
	struct build_report report;
	char name[BLOCK_ID_HEX + 4];
	meta->n_profiles = 0;
	for (uint32_t i = 0; i < n; i++)
		meta->n_profiles += parts[i]->n_profiles;
	if (n == 1 && parts[0]->head) {
		o.keys = parts[0]->head->keys.data;
		o.n_keys = parts[0]->head->keys.n;
		meta->arrived_from_ms = parts[0]->head->arrived_from_ms;
		meta->arrived_to_ms = parts[0]->head->arrived_to_ms;
	}
	if (block_id_eq(&meta->id, &none))
		assert_int_equal(block_id_random(&meta->id), 0);
	block_id_format(&meta->id, name);
	memcpy(name + BLOCK_ID_HEX - 1, ".blk", 5);
	int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	if (block_build(parts, n, &o, fd, meta, &report, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(close(fd), 0);
	assert_int_equal(report.n_damaged, 0);
	assert_int_equal(budget.used, 0);
}

/* ---- what is in a part ---- */

static uint64_t mix(uint64_t h, const void *data, size_t size)
{
	uint64_t own = XXH3_64bits_withSeed(data, size, h);
	return XXH3_64bits_withSeed(&size, sizeof(size), own);
}

static uint64_t mix_string(uint64_t h, const struct part *p, struct str_id id)
{
	struct slice s = part_string(p, id);
	return mix(h, s.data, s.size);
}

static uint64_t mix_frame(uint64_t h, const struct part *p, struct frame_id id)
{
	const struct dict *d = &p->names.dict;
	const struct frame *f = &d->frames.data[id.v];
	const struct function *fn = &d->functions.data[f->function.v];
	const struct mapping *m = &d->mappings.data[f->mapping.v];
	uint64_t numbers[] = { f->address, f->line,  f->kind,	f->found, f->flags,	 f->column,
			       m->start,   m->limit, m->offset, m->flags, fn->start_line };
	h = mix(h, numbers, sizeof(numbers));
	h = mix_string(h, p, fn->name);
	h = mix_string(h, p, fn->system_name);
	h = mix_string(h, p, fn->file);
	return mix_string(mix_string(h, p, m->path), p, m->build_id);
}

static uint64_t row_hash(const struct part *p, uint32_t node, uint32_t labels)
{
	const struct dict *d = &p->names.dict;
	uint64_t h = 1;
	uint32_t n;
	for (; node; node = d->node_parent.data[node].v)
		h = mix_frame(h, p, d->node_frame.data[node]);
	const struct label *l = profile_label_set(&p->names, (struct labels_id){ labels }, &n);
	for (; n > 0; n--, l++) {
		uint64_t numbers[] = { l->is_num, (uint64_t)l->num };
		h = mix(h, numbers, sizeof(numbers));
		h = mix_string(mix_string(mix_string(h, p, l->key), p, l->str), p, l->unit);
	}
	return h;
}

static void add(struct testblock_seen *s, uint64_t hash)
{
	assert_int_equal(vec_reserve(NULL, &s->hashes, 1), 0);
	s->hashes.data[s->hashes.n++] = hash;
}

static uint64_t series_hash(const struct part *p, const struct series *series)
{
	uint64_t h = mix_string(2, p, series->type);
	for (int i = 0; i < N_SERIES_LABELS; i++)
		h = mix_string(h, p, series->label[i]);
	return mix_string(h, p, p->hosts.data[series->host].name);
}

/* Parts number their rows each in its own way: rows are a set. */
static int see_chunk(struct scan *scan, uint64_t h, enum resolution res, struct testblock_seen *ret)
{
	const struct chunk *c = &scan->chunk;
	const struct part *p = scan->part;
	struct rows rows;
	const struct observation *o;
	uint32_t n = 0;
	int r = scan_rows(scan, &rows);
	if (r <= 0)
		return r;
	uint64_t numbers[] = { res, (uint64_t)c->from_ms, c->duration_ms, c->n_profiles, (uint64_t)c->total };
	uint64_t set = 0;
	for (uint32_t i = 0; i < rows.n; i++)
		set += mix(row_hash(p, rows.node[i], rows.labels ? rows.labels[i] : 0), &rows.value[i],
			   sizeof(int64_t));
	r = scan_times(scan, &rows, &o, &n);
	for (uint32_t i = 0; i < n && r == 1; i++) {
		uint64_t row = row_hash(p, rows.node[o[i].row], rows.labels ? rows.labels[o[i].row] : 0);
		int64_t times[] = { o[i].time_ms, o[i].value };
		set += mix(row, times, sizeof(times));
	}
	if (r <= 0)
		return r;
	add(ret, mix(mix(h, numbers, sizeof(numbers)), &set, sizeof(set)));
	ret->total[res] += c->total;
	return 1;
}

static int see_series(const struct part *p, enum resolution res, struct membudget *budget, struct testblock_seen *ret)
{
	const struct scan_options options = {
		.from_ms = INT64_MIN, .to_ms = INT64_MAX, .finest = res, .coarsest = res
	};
	struct scan scan;
	int r = scan_init(&scan, p, &options, budget);
	for (uint32_t i = 0; r >= 0 && i < p->series.n; i++) {
		uint64_t h = series_hash(p, &p->series.data[i]);
		r = scan_series(&scan, i);
		while (r >= 0 && (r = scan_next(&scan)) == 1)
			r = see_chunk(&scan, h, res, ret);
	}
	ret->n_damaged += scan.stats.n_damaged;
	scan_done(&scan);
	return r < 0 ? r : 0;
}

static void see_windows(const struct part *p, struct testblock_seen *ret)
{
	for (uint32_t i = 0; i < p->hosts.n; i++)
		for (uint32_t k = 0; k < p->hosts.data[i].windows.n; k++) {
			const struct window *w = &p->hosts.data[i].windows.data[k];
			const struct source *source = &p->sources.data[w->source];
			uint64_t numbers[] = { (uint64_t)w->from_ms, w->duration_ms, w->n_cpus, w->n_samples };
			uint64_t h = mix_string(3, p, p->hosts.data[i].name);
			h = mix(mix(h, numbers, sizeof(numbers)), source->name, strlen(source->name));
			h = mix(h, source->unwind, strlen(source->unwind));
			add(ret, mix(h, &p->losses.data[w->losses], sizeof(struct losses)));
		}
}

static int compare_hash(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

int testblock_see(const struct part *p, struct membudget *budget, struct testblock_seen *ret)
{
	*ret = (struct testblock_seen){ 0 };
	int r = 0;
	for (unsigned res = 0; r == 0 && res < (p->head ? 1 : N_RESOLUTIONS); res++)
		r = see_series(p, (enum resolution)res, budget, ret);
	see_windows(p, ret);
	if (ret->hashes.n)
		qsort(ret->hashes.data, ret->hashes.n, sizeof(uint64_t), compare_hash);
	return r;
}

void testblock_seen_done(struct testblock_seen *s)
{
	vec_done(NULL, &s->hashes);
}

bool testblock_is_within(const struct testblock_seen *a, const struct testblock_seen *b)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < a->hashes.n; i++) {
		while (at < b->hashes.n && b->hashes.data[at] < a->hashes.data[i])
			at++;
		if (at == b->hashes.n || b->hashes.data[at++] != a->hashes.data[i])
			return false;
	}
	return true;
}
