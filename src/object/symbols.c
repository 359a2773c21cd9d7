/* SPDX-License-Identifier: Apache-2.0 */
#include "object/symbols.h"

#include "object/gofuncs.h"
#include "object/symtab.h"

#include <errno.h>

#define MAX_SOURCES 3

_Static_assert(SYMBOLS_MAX_BATCH <= SYMTAB_MAX_BATCH && SYMBOLS_MAX_BATCH <= GOFUNCS_MAX_BATCH, "one batch for all");

/* An address without a name so far, and the range around it that has none. */
struct wanted {
	uint64_t start, end;
};

/* One look-up. wanted[i] belongs to addrs[i]. */
struct search {
	uint64_t *addrs;
	struct wanted *wanted;
	uint32_t n;
	uint32_t next, n_kept; /* while a source answers: addresses below n_kept are for the next one */
	struct symrange_sink sink;
	bool ended; /* by the sink */
};

static void search_done(struct search *s)
{
	free(s->addrs);
	free(s->wanted);
}

static int put(struct search *s, const struct symrange *range)
{
	int r = s->sink.put(s->sink.arg, range);
	s->ended = r < 0;
	return r;
}

static void keep(struct search *s, uint64_t addr, struct wanted w)
{
	s->addrs[s->n_kept] = addr;
	s->wanted[s->n_kept++] = w;
}

/* An answer may lie around several nameless ranges, each with many addresses. */
static int take_range(void *arg, const struct symrange *range)
{
	struct search *s = arg;
	uint64_t last = 0;
	int r = 0;
	while (s->next < s->n && s->addrs[s->next] < range->start)
		s->next++;
	for (; r == 0 && s->next < s->n && s->addrs[s->next] < range->end; s->next++) {
		struct wanted w = s->wanted[s->next];
		if (w.start < range->start)
			w.start = range->start;
		if (w.end > range->end)
			w.end = range->end;
		if (range->name.size == 0) {
			keep(s, s->addrs[s->next], w);
		} else if (w.end != last) {
			struct symrange cut = *range;
			cut.start = w.start;
			cut.end = last = w.end;
			r = put(s, &cut);
		}
	}
	return r;
}

/* After the last source. */
static int put_nameless(struct search *s)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < s->n; i++)
		if (i == 0 || s->wanted[i].start != s->wanted[i - 1].start)
			r = put(s, &(struct symrange){ .start = s->wanted[i].start, .end = s->wanted[i].end });
	return r;
}

/* What can be asked for names; one of the two. */
struct source {
	const struct elf *symbols;
	const struct gopclntab *go;
};

static int ask(struct search *s, const struct source *source, struct error *err)
{
	struct symrange_sink sink = { take_range, s };
	s->next = s->n_kept = 0;
	int r = source->go ? gofuncs_lookup(source->go, s->addrs, s->n, sink, err)
			   : symtab_lookup(source->symbols, s->addrs, s->n, sink, err);
	/* What a source that failed did not come to is for the next one. */
	for (; r < 0 && s->next < s->n; s->next++)
		keep(s, s->addrs[s->next], s->wanted[s->next]);
	s->n = s->n_kept;
	return r;
}

static int ask_all(struct search *s, const struct source *sources, uint32_t n, struct error *err)
{
	int failed = 0;
	for (uint32_t i = 0; i < n && s->n > 0; i++) {
		int r = ask(s, &sources[i], failed ? NULL : err);
		if (s->ended)
			return r;
		if (r < 0 && !failed)
			failed = r;
	}
	return failed ? failed : put_nameless(s);
}

static int search_init(struct search *s, const uint64_t *addrs, uint32_t n, struct symrange_sink sink)
{
	*s = (struct search){ .n = n, .sink = sink };
	s->addrs = calloc(n, sizeof(*s->addrs));
	s->wanted = calloc(n, sizeof(*s->wanted));
	if (!s->addrs || !s->wanted)
		return -ENOMEM;
	memcpy(s->addrs, addrs, n * sizeof(*addrs));
	for (uint32_t i = 0; i < n; i++)
		s->wanted[i].end = SYMRANGE_NO_ADDRESS;
	return 0;
}

int symbols_lookup(const struct elf *e, struct debugfile_place place, const uint64_t *addrs, uint32_t n,
		   struct symrange_sink sink, struct error *err)
{
	struct source sources[MAX_SOURCES];
	struct elf debug;
	struct gopclntab go;
	uint32_t n_sources = 0;
	_cleanup_(close_fd)
	int debug_fd = -1;
	if (n == 0)
		return 0;
	if (n > SYMBOLS_MAX_BATCH)
		return error_set(err, -E2BIG, "%u addresses in one batch; at most %d", n, SYMBOLS_MAX_BATCH);
	bool is_apart = !e->symtab.size && debugfile_open(e, place, &debug_fd, &debug) == 0;
	bool is_whole = e->symtab.size || is_apart;
	if (is_whole)
		sources[n_sources++] = (struct source){ .symbols = is_apart ? &debug : e };
	if (gopclntab_find(e, &go) == 0)
		sources[n_sources++] = (struct source){ .go = &go };
	if (!is_whole)
		sources[n_sources++] = (struct source){ .symbols = e };

	_cleanup_(search_done)
	struct search s;
	if (search_init(&s, addrs, n, sink) < 0)
		return error_set(err, -ENOMEM, "no memory for %u addresses", n);
	return ask_all(&s, sources, n_sources, err);
}
