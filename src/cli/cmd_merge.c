/* SPDX-License-Identifier: Apache-2.0 */
#include "base/saturate.h"
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/profile_file.h"
#include "cli/profile_save.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* What the sum may take in memory; beside it there is one input at a time. */
#define MERGE_MAX ((size_t)4 << 30)
/* Rows of equal stack and labels are summed when there are twice as many rows
 * as after the last time, which keeps all sorting together n log n. */
#define COMPACT_MIN 65536

struct merge_options {
	const char *out, *to, *type;
	bool force;
	struct read_options read;
	struct filter *filter;
};

static void merge_options_done(struct merge_options *m)
{
	filter_free(&m->filter);
}

struct merge {
	struct profile sum;
	struct membudget budget;
	const char *first;
	uint32_t n_compacted; /* rows after the last compaction */
	int64_t covered_ns;   /* durations summed */
	bool lost_period, lost_default, lost_frames, lost_url;
};

static bool same_str(const struct profile *a, struct str_id x, const struct profile *b, struct str_id y)
{
	return slice_eq(strtab_get(&a->dict.strings, x), strtab_get(&b->dict.strings, y));
}

/* The sum has one of each; those of the first input stay. */
static void note_lost(struct merge *m, const struct profile *p)
{
	const struct profile *s = &m->sum;
	m->lost_period = m->lost_period || s->period != p->period ||
			 !same_str(s, s->period_type.type, p, p->period_type.type) ||
			 !same_str(s, s->period_type.unit, p, p->period_type.unit);
	m->lost_default = m->lost_default || !same_str(s, s->default_type, p, p->default_type);
	m->lost_frames = m->lost_frames || !same_str(s, s->drop_frames, p, p->drop_frames) ||
			 !same_str(s, s->keep_frames, p, p->keep_frames);
	m->lost_url = m->lost_url || !same_str(s, s->doc_url, p, p->doc_url);
}

static void print_lost(const struct merge *m)
{
	static const char *const text[] = { "period", "default sample type", "drop_frames and keep_frames", "doc_url" };
	const bool lost[] = { m->lost_period, m->lost_default, m->lost_frames, m->lost_url };
	for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
		if (lost[i])
			(void)fprintf(stderr, "wick merge: the inputs differ in %s; that of %s is kept\n", text[i],
				      m->first);
	int64_t gaps;
	if (m->covered_ns > 0 && !__builtin_sub_overflow(m->sum.duration_ns, m->covered_ns, &gaps) && gaps > 0)
		(void)fprintf(stderr,
			      "wick merge: the inputs cover %.1f s of the %.1f s from first start to last end\n",
			      (double)m->covered_ns / 1e9, (double)m->sum.duration_ns / 1e9);
}

static int compact(struct merge *m, bool always)
{
	if (!always && m->sum.node.n / 2 < m->n_compacted + COMPACT_MIN / 2)
		return 0;
	int r = profile_compact(&m->sum);
	m->n_compacted = m->sum.node.n;
	return r;
}

/* Decodes one input, filters it, adds it and forgets it. */
static int add_file(struct merge *m, struct merge_options *o, const char *path, struct error *err)
{
	struct profile p;
	int r = profile_load(path, &o->read, &p, err);
	if (r < 0)
		return r;
	r = filter_options_apply(o->filter, path, &p, err);
	if (r < 0) {
		profile_done(&p);
		return r;
	}
	if (m->first)
		note_lost(m, &p);
	else
		m->first = path;
	m->covered_ns = i64_add_saturating(m->covered_ns, p.duration_ns);
	r = profile_merge(&m->sum, &p, err);
	if (r == 0 && (r = compact(m, false)) < 0)
		error_set(err, r, "out of memory");
	profile_done(&p);
	if (r == -ENOBUFS)
		return error_set(err, r, "%s: with this input the sum takes more than %zu MiB of memory", path,
				 MERGE_MAX >> 20);
	if (r < 0)
		error_prefix(err, "%s", path);
	return r;
}

static int merge(struct merge_options *o, char **inputs, struct error *err)
{
	struct output out;
	int r = output_init(&out, o->out, o->to, o->force, OUTPUT_ANY, err);
	if (r < 0)
		return r;
	struct merge m = { .budget = membudget_of(MERGE_MAX) };
	r = profile_init(&m.sum, &m.budget);
	if (r < 0)
		return error_set(err, r, "out of memory");
	for (; r == 0 && *inputs; inputs++)
		r = add_file(&m, o, *inputs, err);
	if (r == 0 && (r = compact(&m, true)) < 0)
		error_set(err, r, "out of memory");
	struct save_options options = { .is_type_given = o->type != NULL };
	if (r == 0)
		r = profile_choose_type(&m.sum, o->type, m.first, &options.type, err);
	if (r == 0)
		r = profile_save(&m.sum, &out, &options, err);
	if (r == 0)
		print_lost(&m);
	profile_done(&m.sum);
	return r;
}

static int run_merge(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' }, { "type", required_argument, NULL, 't' },
		{ "to", required_argument, NULL, 'T' },	    { "force", no_argument, NULL, 'f' },
#define READ_LIMIT(field, option, unit, meaning) READ_OPTION_ROW(field, option)
#include "cli/read_option.def"
#undef READ_LIMIT
#define FILTER(id, name, option, value, meaning) FILTER_OPTION_ROW(id, option)
#include "model/filter.def"
#undef FILTER
		READ_OPTION_ROWS{ NULL, 0, NULL, 0 },
	};
	_cleanup_(merge_options_done)
	struct merge_options m = { .read = read_options_default() };
	struct error err;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (o == 'o')
			m.out = optarg;
		else if (o == 't')
			m.type = optarg;
		else if (o == 'T')
			m.to = optarg;
		else if (o == 'f')
			m.force = true;
		else if (is_read_option(o)) {
			if (read_options_set(&m.read, o, optarg, &err) < 0)
				return command_usage_error(&cmd_merge, "%s", err.text);
		} else if (is_filter_option(o)) {
			if (filter_options_add(&m.filter, o, optarg, &err) < 0)
				return command_usage_error(&cmd_merge, "%s", err.text);
		} else
			return command_usage_error(&cmd_merge, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (!m.out)
		return command_usage_error(&cmd_merge, "wants -o OUT");
	if (optind == argc)
		return command_usage_error(&cmd_merge, "wants at least one profile");
	if (command_count_stdin((const char *const *)argv + optind) > 1)
		return command_usage_error(&cmd_merge, "standard input can be read once");
	int r = merge(&m, argv + optind, &err);
	return r < 0 ? command_failed(&cmd_merge, r, &err) : 0;
}

const struct command cmd_merge = {
	.name = "merge",
	.summary = "add profiles up to one",
	.usage = "wick merge -o OUT [--to FORMAT] [--type TYPE] [--force] [FILTER ...] IN...\n"
		 "Reads the inputs one after the other, in any formats wick convert reads, and writes their sum in the "
		 "format\n"
		 "that the end of OUT names, or --to (\"-\": standard output).\n"
		 "All inputs must have the same sample types, by name and unit, in any order.\n"
		 "Rows of equal stack and labels are summed. Period, default type and doc_url are those of the first "
		 "input;\n"
		 "stderr says where inputs differ in them. --type picks the sample type for formats that hold "
		 "one.\n" FILTER_USAGE READ_USAGE,
	.run = run_merge,
};
