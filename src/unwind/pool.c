/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/pool.h"

#include <assert.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SEGMENT_SIZE  ((size_t)POOL_SEGMENT_WORDS * 4)
#define SEGMENT_UNITS (POOL_SEGMENT_WORDS / POOL_UNIT_WORDS)
#define RULES_SIZE    ((size_t)POOL_MAX_RULES * sizeof(struct unwind_rule))
#define TABLES_SIZE   ((size_t)POOL_MAX_TABLES * sizeof(struct pool_table))
#define WINDOW_SIZE   ((size_t)64 << 10)

_Static_assert(RULES_SIZE % 4096 == 0 && TABLES_SIZE % 4096 == 0, "they are mapped in whole pages");

struct segment {
	bool is_there;
	int fd;		 /* -1 without maps */
	uint32_t *words; /* all of it; NULL = not mapped at the moment */
	uint32_t n_used; /* units */
	uint64_t used[SEGMENT_UNITS / 64];
};

struct withdrawn {
	uint32_t word, n_units; /* n_units 0: `word` is a slot */
};

/* Part of a segment, mapped. */
struct window {
	uint32_t word, n_words; /* n_words 0 = none */
	uint32_t *words;
};

struct pool {
	struct pool_maps maps;
	struct window window;
	bool in_kernel;
	uint32_t max_segments;
	struct segment *segments[POOL_MAX_SEGMENTS];
	struct unwind_rule *rules;
	struct u64map rule_ids; /* by hash -> index + 1 */
	uint32_t n_rules;
	struct pool_table *tables;
	uint64_t slots[POOL_MAX_TABLES / 64]; /* in use */
	VEC(struct withdrawn) withdrawn;
	struct pool_stats stats;
};

/* Part of an array of the kernel's, as memory; or memory. `off` and `size` are
 * in whole pages. */
static void *map_array(int fd, size_t off, size_t size)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)off);
	return at == MAP_FAILED ? NULL : at;
}

int pool_new(const struct pool_maps *maps, uint32_t max_segments, struct pool **ret)
{
	static const struct unwind_rule unsupported = { .cfa = RULE_UNSUPPORTED };
	_cleanup_(pool_free_all)
	struct pool *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->in_kernel = maps != NULL;
	if (maps)
		p->maps = *maps;
	p->max_segments = max_segments < POOL_MAX_SEGMENTS ? max_segments : POOL_MAX_SEGMENTS;
	u64map_init(&p->rule_ids, NULL);
	p->rules = map_array(maps ? maps->rules_fd : -1, 0, RULES_SIZE);
	p->tables = map_array(maps ? maps->tables_fd : -1, 0, TABLES_SIZE);
	if (!p->rules || !p->tables)
		return -ENOMEM;
	p->slots[0] = (1u << TABLE_FIRST) - 1;
	/* Number 0, which stands in for rules that find no room. */
	if (pool_rule(p, &unsupported) != 0)
		return -ENOMEM;
	*ret = take_ptr(p);
	return 0;
}

static void unmap_segment(struct segment *s)
{
	if (s->words && s->fd >= 0)
		(void)munmap(s->words, SEGMENT_SIZE);
	else
		free(s->words);
	s->words = NULL;
}

static void close_window(struct pool *p)
{
	if (p->window.n_words)
		(void)munmap(p->window.words, (size_t)p->window.n_words * 4);
	p->window = (struct window){ 0 };
}

static void drop_segment(struct pool *p, uint32_t number)
{
	struct segment *s = p->segments[number];
	unmap_segment(s);
	close_window(p);
	if (p->in_kernel)
		p->maps.drop_segment(p->maps.arg, number, s->fd);
	free(s);
	p->segments[number] = NULL;
	p->stats.n_segments--;
}

void pool_free_all(struct pool **pool)
{
	struct pool *p = *pool;
	if (!p)
		return;
	for (uint32_t i = 0; i < POOL_MAX_SEGMENTS; i++)
		if (p->segments[i])
			drop_segment(p, i);
	if (p->rules)
		(void)munmap(p->rules, RULES_SIZE);
	if (p->tables)
		(void)munmap(p->tables, TABLES_SIZE);
	u64map_done(&p->rule_ids);
	vec_done(NULL, &p->withdrawn);
	free(p);
	*pool = NULL;
}

/* ---- words --------------------------------------------------------------- */

static bool is_used(const struct segment *s, uint32_t unit)
{
	return s->used[unit / 64] >> (unit % 64) & 1;
}

static void mark(struct segment *s, uint32_t unit, uint32_t n, bool used)
{
	for (uint32_t i = unit; i < unit + n; i++) {
		assert(is_used(s, i) != used);
		s->used[i / 64] ^= UINT64_C(1) << (i % 64);
	}
	s->n_used = used ? s->n_used + n : s->n_used - n;
}

/* The first run of n free units; SEGMENT_UNITS when there is none. */
static uint32_t find_free(const struct segment *s, uint32_t n)
{
	uint32_t run = 0;
	for (uint32_t unit = 0; unit < SEGMENT_UNITS; unit++) {
		if (unit % 64 == 0 && s->used[unit / 64] == UINT64_MAX) {
			run = 0;
			unit += 63;
			continue;
		}
		run = is_used(s, unit) ? 0 : run + 1;
		if (run == n)
			return unit + 1 - n;
	}
	return SEGMENT_UNITS;
}

static int add_segment(struct pool *p, uint32_t number)
{
	struct segment *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->fd = -1;
	if (p->in_kernel) {
		s->fd = p->maps.new_segment(p->maps.arg, number);
	} else {
		s->words = calloc(POOL_SEGMENT_WORDS, sizeof(*s->words));
		s->fd = s->words ? -1 : -ENOMEM;
	}
	if (s->fd < 0 && (p->in_kernel || !s->words)) {
		int r = s->fd;
		free(s);
		return r;
	}
	p->segments[number] = s;
	p->stats.n_segments++;
	if (number == 0) /* for word 0, which is nobody's */
		mark(s, 0, 1, true);
	return 0;
}

static uint32_t units_of(uint32_t n_words)
{
	return (n_words + POOL_UNIT_WORDS - 1) / POOL_UNIT_WORDS;
}

int pool_alloc(struct pool *p, uint32_t n, uint32_t *ret_word)
{
	uint32_t n_units = units_of(n), free_number = UINT32_MAX;
	assert(n > 0);
	if (n_units >= SEGMENT_UNITS)
		return -E2BIG;
	for (uint32_t i = 0; i < p->max_segments; i++) {
		struct segment *s = p->segments[i];
		if (!s) {
			free_number = free_number == UINT32_MAX ? i : free_number;
			continue;
		}
		uint32_t unit = SEGMENT_UNITS - s->n_used >= n_units ? find_free(s, n_units) : SEGMENT_UNITS;
		if (unit < SEGMENT_UNITS) {
			mark(s, unit, n_units, true);
			*ret_word = i << POOL_SEGMENT_BITS | unit * POOL_UNIT_WORDS;
			return 0;
		}
	}
	if (free_number == UINT32_MAX)
		return -ENOBUFS;
	int r = add_segment(p, free_number);
	return r < 0 ? r : pool_alloc(p, n, ret_word);
}

static void make_free(struct pool *p, const struct withdrawn *w)
{
	if (w->n_units == 0) {
		p->slots[w->word / 64] &= ~(UINT64_C(1) << (w->word % 64));
		return;
	}
	uint32_t number = w->word >> POOL_SEGMENT_BITS, unit = (w->word & (POOL_SEGMENT_WORDS - 1)) / POOL_UNIT_WORDS;
	mark(p->segments[number], unit, w->n_units, false);
}

static bool is_empty(const struct segment *s, uint32_t number)
{
	return s->n_used == (number == 0 ? 1 : 0);
}

/* Waits until every program that runs now has ended: those that start later
 * see nothing of what was withdrawn, unless they remember it. */
static void wait_for_programs(const struct pool *p)
{
	if (!p->in_kernel)
		return;
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	p->maps.forget(p->maps.arg);
}

void pool_reclaim(struct pool *p)
{
	if (p->withdrawn.n == 0)
		return;
	wait_for_programs(p);
	for (uint32_t i = 0; i < p->withdrawn.n; i++)
		make_free(p, &p->withdrawn.data[i]);
	p->withdrawn.n = 0;
	for (uint32_t i = 0; i < POOL_MAX_SEGMENTS; i++)
		if (p->segments[i] && is_empty(p->segments[i], i))
			drop_segment(p, i);
}

bool pool_has_withdrawn(const struct pool *p)
{
	return p->withdrawn.n > 0;
}

static void withdraw(struct pool *p, uint32_t word, uint32_t n_units)
{
	struct withdrawn w = { word, n_units };
	if (vec_reserve(NULL, &p->withdrawn, 1) == 0) {
		p->withdrawn.data[p->withdrawn.n++] = w;
		return;
	}
	wait_for_programs(p);
	make_free(p, &w);
}

void pool_free(struct pool *p, uint32_t word, uint32_t n)
{
	if (word)
		withdraw(p, word, units_of(n));
}

static const uint32_t *segment_words(struct pool *p, uint32_t number)
{
	struct segment *s = number < POOL_MAX_SEGMENTS ? p->segments[number] : NULL;
	if (s && !s->words)
		s->words = map_array(s->fd, 0, SEGMENT_SIZE);
	return s ? s->words : NULL;
}

/* What is written one after the other mostly lies in one window. */
static bool open_window(struct pool *p, uint32_t word, uint32_t n)
{
	const uint32_t step = WINDOW_SIZE / 4;
	uint32_t number = word >> POOL_SEGMENT_BITS, at = word & (POOL_SEGMENT_WORDS - 1);
	uint32_t first = at & ~(step - 1), end = (at + n + step - 1) & ~(step - 1);
	close_window(p);
	uint32_t *words = map_array(p->segments[number]->fd, (size_t)first * 4, (size_t)(end - first) * 4);
	if (!words)
		return false;
	p->window = (struct window){ number << POOL_SEGMENT_BITS | first, end - first, words };
	return true;
}

uint32_t *pool_words(struct pool *p, uint32_t word, uint32_t n)
{
	if (!p->in_kernel)
		return p->segments[word >> POOL_SEGMENT_BITS]->words + (word & (POOL_SEGMENT_WORDS - 1));
	const struct window *w = &p->window;
	bool inside = word >= w->word && (uint64_t)word + n <= (uint64_t)w->word + w->n_words;
	return inside || open_window(p, word, n) ? w->words + (word - w->word) : NULL;
}

void pool_settle(struct pool *p)
{
	close_window(p);
	for (uint32_t i = 0; i < p->max_segments && p->in_kernel; i++)
		if (p->segments[i])
			unmap_segment(p->segments[i]);
}

/* ---- rules and tables ---------------------------------------------------- */

uint16_t pool_rule(struct pool *p, const struct unwind_rule *rule)
{
	for (uint64_t key = XXH3_64bits(rule, sizeof(*rule));; key++) {
		uint32_t known = u64map_get(&p->rule_ids, key);
		if (known && memcmp(&p->rules[known - 1], rule, sizeof(*rule)) != 0)
			continue;
		if (known)
			return (uint16_t)(known - 1);
		uint32_t *id = p->n_rules < POOL_MAX_RULES ? u64map_put(&p->rule_ids, key) : NULL;
		if (!id) {
			p->stats.n_rules_full++;
			return 0;
		}
		p->rules[p->n_rules++] = *rule;
		*id = p->n_rules;
		return (uint16_t)(p->n_rules - 1);
	}
}

uint32_t pool_new_slot(struct pool *p)
{
	for (uint32_t i = 0; i < POOL_MAX_TABLES; i++) {
		if (p->slots[i / 64] >> (i % 64) & 1)
			continue;
		p->slots[i / 64] |= UINT64_C(1) << (i % 64);
		p->stats.n_slots++;
		pool_set_table(p, i, &(struct pool_table){ 0 });
		return i;
	}
	return 0;
}

void pool_drop_slot(struct pool *p, uint32_t slot)
{
	assert(slot >= TABLE_FIRST && slot < POOL_MAX_TABLES);
	pool_set_table(p, slot, &(struct pool_table){ 0 });
	p->stats.n_slots--;
	withdraw(p, slot, 0);
}

/* The programs read both numbers at different moments: a table without pages
 * is none, and with none in between the numbers of two are never mixed. */
void pool_set_table(struct pool *p, uint32_t slot, const struct pool_table *table)
{
	struct pool_table *t = &p->tables[slot];
	__atomic_store_n(&t->pages, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&t->n_pages, table->n_pages, __ATOMIC_RELEASE);
	__atomic_store_n(&t->pages, table->pages, __ATOMIC_RELEASE);
}

const uint32_t *pool_segment(struct pool *p, uint32_t number)
{
	return segment_words(p, number);
}

const struct pool_table *pool_tables(const struct pool *p)
{
	return p->tables;
}

const struct unwind_rule *pool_rules(const struct pool *p)
{
	return p->rules;
}

struct pool_stats pool_stats(const struct pool *p)
{
	struct pool_stats stats = p->stats;
	stats.n_rules = p->n_rules;
	for (uint32_t i = 0; i < POOL_MAX_SEGMENTS; i++)
		if (p->segments[i])
			stats.n_used_words += (uint64_t)p->segments[i]->n_used * POOL_UNIT_WORDS;
	return stats;
}
