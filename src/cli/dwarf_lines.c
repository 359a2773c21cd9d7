/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/dwarf_lines.h"

#include "base/clock.h"
#include "base/sibling.h"
#include "cli/number.h"
#include "dwarf/find.h"
#include "dwarf/job.h"
#include "dwarf/lines.h"
#include "model/framelines_profile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MEMORY_MIB  1024
#define SECONDS_MAX 3600
#define SAID_MAX    4 /* lines about binaries that cannot be read */

/* One frame and where its line is looked for. */
struct place {
	uint64_t address;
	uint32_t frame, mapping;
};

struct adder {
	struct profile *p;
	const char *file;
	const struct dwarf_options *o;
	char program[PATH_MAX];
	int64_t deadline_ns;
	struct framelines lines;
	struct place *places; /* by mapping and address */
	uint32_t n_places;
	const struct place *batch; /* being answered */
	uint64_t *addrs;	   /* of the batch */
	uint32_t n_said, n_unread; /* binaries that time did not allow */
	struct dwarf_stats stats;
};

struct dwarf_options dwarf_options_default(void)
{
	return (struct dwarf_options){ .seconds = DWARF_SECONDS };
}

int dwarf_options_set(struct dwarf_options *d, int o, const char *value, struct error *err)
{
	uint64_t n;
	switch (o) {
	case DWARF_OPTION_OFF:
		d->off = true;
		return 0;
	case DWARF_OPTION_FOLDER:
		d->folder = value;
		return 0;
	default:
		if (!number_parse(value, 1, SECONDS_MAX, &n))
			return error_set(err, -EINVAL, "--dwarf-time wants 1 to %d seconds, not \"%.64s\"", SECONDS_MAX,
					 value);
		d->seconds = (unsigned)n;
		return 0;
	}
}

static void adder_done(struct adder *a)
{
	framelines_done(&a->lines);
	free(a->places);
	free(a->addrs);
}

static bool is_wanted(const struct dict *d, const struct frame *f)
{
	const struct mapping *m = &d->mappings.data[f->mapping.v];
	return f->kind == FRAME_USER && f->line == 0 && !(f->flags & FRAME_INLINED) && m->build_id.v && m->start == 0 &&
	       m->offset == 0 && m->limit > 0 && d->functions.data[f->function.v].file.v == 0;
}

static int by_mapping_and_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->mapping != y->mapping)
		return x->mapping < y->mapping ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

static int collect(struct adder *a, const bool *is_exact)
{
	const struct dict *d = &a->p->dict;
	a->places = calloc(d->frames.n, sizeof(*a->places));
	a->addrs = calloc(d->frames.n, sizeof(*a->addrs));
	if (!a->places || !a->addrs)
		return -ENOMEM;
	for (uint32_t i = 1; i < d->frames.n; i++) {
		const struct frame *f = &d->frames.data[i];
		if (!is_wanted(d, f))
			continue;
		bool is_return = is_exact && !is_exact[i] && f->address > 0;
		a->places[a->n_places++] = (struct place){ f->address - is_return, i, f->mapping.v };
	}
	a->stats.n_frames = a->n_places;
	qsort(a->places, a->n_places, sizeof(*a->places), by_mapping_and_address);
	return 0;
}

static int put_answer(void *arg, const struct dwarf_answer *answer)
{
	struct adder *a = arg;
	struct source_line lines[FRAMELINES_MAX];
	uint32_t n = dwarf_lines(answer, lines);
	a->stats.n_lines += n && lines[n - 1].line;
	return framelines_put(&a->lines, (struct frame_id){ a->batch[answer->index].frame }, lines, n);
}

static void say(struct adder *a, const char *path, const struct error *why)
{
	if (a->n_said++ < SAID_MAX)
		(void)fprintf(stderr, "wick: %s: lines of %s: %s\n", a->file, path, why->text);
}

/* 0, or memory's end; what is against a binary is no failure. */
static int look_up(struct adder *a, int fd, const struct place *places, uint32_t n, const char *path)
{
	int64_t left_ms = (a->deadline_ns - clock_mono_ns()) / 1000000;
	struct dwarf_outcome outcome;
	struct error err;
	for (uint32_t i = 0; i < n; i++)
		a->addrs[i] = places[i].address;
	a->batch = places;
	struct dwarf_job job = {
		.program = a->program,
		.fd = fd,
		.addrs = a->addrs,
		.n = n,
		.memory_mib = MEMORY_MIB,
		.cpu_s = (unsigned)(left_ms / 1000 + 1),
		.timeout_ms = left_ms,
		.may_open = true,
	};
	int r = dwarf_job_run(&job, (struct dwarf_sink){ put_answer, a }, &outcome, &err);
	if (r < 0 && r != -ENOMEM && r != -ENOBUFS) {
		say(a, path, &err);
		return 0;
	}
	if (r == 0 && outcome.end == DWARF_END_TIME)
		a->n_unread++;
	else if (r == 0 && outcome.end != DWARF_END_WHOLE)
		say(a, path, &outcome.why);
	return r;
}

/* The places of one mapping. */
static int add_mapping(struct adder *a, const struct place *places, uint32_t n)
{
	const struct dict *d = &a->p->dict;
	const struct mapping *m = &d->mappings.data[places->mapping];
	const char *path = strtab_cstr(&d->strings, m->path), *folders[2];
	unsigned n_folders = 0;
	if (a->o->folder)
		folders[n_folders++] = a->o->folder;
	folders[n_folders++] = DWARF_SYSTEM_FOLDER;
	a->stats.n_binaries++;
	_cleanup_(close_fd)
	int fd = dwarf_find(path[0] == '/' ? path : NULL, strtab_get(&d->strings, m->build_id), folders, n_folders);
	if (fd < 0)
		return 0;
	a->stats.n_described++;
	int r = 0;
	for (uint32_t batch; r == 0 && n && clock_mono_ns() < a->deadline_ns; places += batch, n -= batch) {
		batch = n < DWARF_MAX_BATCH ? n : DWARF_MAX_BATCH;
		r = look_up(a, fd, places, batch, path);
	}
	a->n_unread += n > 0;
	return r;
}

static int add_lines(struct adder *a)
{
	int r = 0;
	for (uint32_t from = 0, to; r == 0 && from < a->n_places; from = to) {
		for (to = from + 1; to < a->n_places && a->places[to].mapping == a->places[from].mapping; to++)
			;
		r = add_mapping(a, a->places + from, to - from);
	}
	if (a->n_unread)
		(void)fprintf(stderr,
			      "wick: %s: %" PRIu32 " of %" PRIu32
			      " binaries with debug information were not read to their "
			      "end within %u s (--dwarf-time)\n",
			      a->file, a->n_unread, a->stats.n_described, a->o->seconds);
	return r < 0 ? r : framelines_apply(&a->lines, a->p);
}

int profile_add_lines(struct profile *p, const char *file, const bool *is_exact, const struct dwarf_options *o,
		      struct dwarf_stats *ret)
{
	_cleanup_(adder_done)
	struct adder a = {
		.p = p, .file = file, .o = o, .deadline_ns = clock_mono_ns() + o->seconds * INT64_C(1000000000)
	};
	struct error err;
	int r = framelines_init(&a.lines, p->budget);
	if (r == 0 && sibling_path("wick-dwarf", a.program, &err) < 0)
		return 0;
	if (r == 0)
		r = collect(&a, is_exact);
	if (r == 0)
		r = add_lines(&a);
	if (ret)
		*ret = a.stats;
	return r;
}
