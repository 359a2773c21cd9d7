/* SPDX-License-Identifier: Apache-2.0 */
#include "object/symbols.h"

#include "object/gofuncs.h"
#include "object/minidebug.h"
#include "object/symtab.h"

#include <errno.h>

_Static_assert(SYMBOLS_MAX_BATCH <= SYMTAB_MAX_BATCH && SYMBOLS_MAX_BATCH <= GOFUNCS_MAX_BATCH, "one batch for all");

/* An address without a name so far, and the range around it that has none. */
struct wanted {
	uint64_t start, end;
};

/* One look-up. wanted[i] belongs to addrs[i]. */
struct search {
	const struct elf *binary;
	const struct elf *symbols; /* its debug file; the binary, if there is none */
	const char *temp_dir;
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

static int ask_go(struct search *s, struct error *err)
{
	struct gopclntab t;
	int r = gopclntab_find(s->binary, &t);
	if (r < 0)
		return r == -ENOENT ? r : error_set(err, r, "cannot look for Go's function table: %s", strerror(-r));
	return gofuncs_lookup(&t, s->addrs, s->n, (struct symrange_sink){ take_range, s }, err);
}

/* What .gnu_debugdata has is no use without .dynsym, nor the other way round. */
static int ask_symtab(struct search *s, struct error *err)
{
	struct symrange_sink sink = { take_range, s };
	struct elf mini;
	_cleanup_(close_fd)
	int mini_fd = -1;
	int r = s->symbols->symtab.size ? -ENOENT : minidebug_open(s->binary, s->temp_dir, &mini_fd, &mini);
	int k = symtab_lookup_both(s->symbols, r == 0 ? &mini : NULL, s->addrs, s->n, sink, err);
	if (k < 0 || r == 0 || r == -ENOENT)
		return k;
	return error_set(err, r, "cannot unpack .gnu_debugdata: %s", strerror(-r));
}

/* Names from one source, if it is there. What it has none for stays, as does
 * what it did not come to if it fails. */
static int ask(struct search *s, int (*source)(struct search *, struct error *), struct error *err)
{
	s->next = s->n_kept = 0;
	int r = source(s, err);
	for (; r < 0 && s->next < s->n; s->next++)
		keep(s, s->addrs[s->next], s->wanted[s->next]);
	s->n = s->n_kept;
	return r == -ENOENT ? 0 : r;
}

static int ask_all(struct search *s, struct error *err)
{
	bool is_whole = s->symbols->symtab.size > 0;
	int first = ask(s, is_whole ? ask_symtab : ask_go, err), second = 0;
	if (!s->ended && s->n > 0)
		second = ask(s, is_whole ? ask_go : ask_symtab, first < 0 ? NULL : err);
	int failed = first < 0 ? first : second;
	return failed < 0 ? failed : put_nameless(s);
}

static int search_init(struct search *s, const uint64_t *addrs, uint32_t n)
{
	s->n = n;
	s->addrs = calloc(n, sizeof(*s->addrs));
	s->wanted = calloc(n, sizeof(*s->wanted));
	if (!s->addrs || !s->wanted)
		return -ENOMEM;
	memcpy(s->addrs, addrs, n * sizeof(*addrs));
	for (uint32_t i = 0; i < n; i++)
		s->wanted[i].end = SYMRANGE_NO_ADDRESS;
	return 0;
}

int symbols_lookup(const struct elf *e, const struct symbols_env *env, const uint64_t *addrs, uint32_t n,
		   struct symrange_sink sink, struct error *err)
{
	struct elf debug;
	_cleanup_(close_fd)
	int debug_fd = -1;
	if (n == 0)
		return 0;
	if (n > SYMBOLS_MAX_BATCH)
		return error_set(err, -E2BIG, "%u addresses in one batch; at most %d", n, SYMBOLS_MAX_BATCH);
	_cleanup_(search_done)
	struct search s = { .binary = e, .symbols = e, .temp_dir = env->temp_dir, .sink = sink };
	if (search_init(&s, addrs, n) < 0)
		return error_set(err, -ENOMEM, "no memory for %u addresses", n);
	if (debugfile_open(e, env->place, &debug_fd, &debug) == 0)
		s.symbols = &debug;
	return ask_all(&s, err);
}
