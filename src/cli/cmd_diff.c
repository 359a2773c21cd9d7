/* SPDX-License-Identifier: Apache-2.0 */
#include "base/saturate.h"
#include "cli/command.h"
#include "cli/diff_save.h"
#include "cli/diff_view.h"
#include "cli/filter_options.h"
#include "cli/number.h"
#include "cli/profile_file.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define DIFF_MAX     ((size_t)8 << 30)
#define ROWS_DEFAULT 20

struct diff_options {
	const char **base; /* windows of A */
	uint32_t n_base;
	const char *type, *out, *to;
	uint32_t limit;
	double detect;
	enum diff_mode mode;
	enum color_mode color;
	bool by_total, stacks, json, force;
	struct filter *filter;
	struct read_options read;
};

static void options_done(struct diff_options *o)
{
	free(o->base);
	filter_free(&o->filter);
}

/* What all windows must agree on, taken from the first, and what they do not. */
struct comparison {
	const struct diff_options *options;
	struct read_options *read;
	struct diff diff;
	struct membudget budget;
	const char *first;
	char type[512]; /* "cpu:nanoseconds" */
	int64_t period;
	bool periods_differ;
	const char *unknown; /* a window whose samples nothing tells */
};

static void comparison_done(struct comparison *c)
{
	diff_done(&c->diff);
}

/* The type of the first window decides. */
static int take_first(struct comparison *c, const struct profile *p, const char *path, struct error *err)
{
	if (p->n_types == 0)
		return error_set(err, -EBADMSG, "%s: the profile has no sample types", path);
	uint32_t t = profile_default_type(p);
	int r = c->options->type ? profile_find_type(p, c->options->type, &t, err) : 0;
	if (r < 0)
		return error_prefix(err, "%s", path), r;
	const struct strtab *s = &p->dict.strings;
	int n = snprintf(c->type, sizeof(c->type), "%s:%s", strtab_cstr(s, p->types[t].type),
			 strtab_cstr(s, p->types[t].unit));
	if (n < 0 || (size_t)n >= sizeof(c->type))
		return error_set(err, -E2BIG, "%s: the sample type's name is longer than %zu bytes", path,
				 sizeof(c->type));
	c->first = path;
	c->period = p->period;
	return 0;
}

static int find_type(struct comparison *c, const struct profile *p, const char *path, uint32_t *ret, struct error *err)
{
	int r = c->first ? 0 : take_first(c, p, path, err);
	if (r < 0)
		return r;
	struct error why;
	if (profile_find_type(p, c->type, ret, &why) < 0)
		return error_set(err, -EINVAL, "%s cannot be compared with %s: %s", path, c->first, why.text);
	c->periods_differ = c->periods_differ || p->period != c->period;
	return 0;
}

static int add_profile(struct comparison *c, enum diff_side side, struct profile *p, const char *path,
		       struct error *err)
{
	uint32_t type;
	int r = find_type(c, p, path, &type, err);
	if (r < 0)
		return r;
	struct diff_window w = { .seconds = p->duration_ns > 0 ? (double)p->duration_ns / 1e9 : 0 };
	enum diff_source source;
	r = diff_count_samples(p, type, &source, &w.samples);
	if (r == -EDOM)
		return error_set(err, -EINVAL, "%s: has negative values: it is a difference already", path);
	/* Shares are of all samples, as in wick report, whatever the filters leave. */
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		w.whole = i64_add_saturating(w.whole, p->value[type].data[i]);
	if (source == DIFF_SAMPLES_UNKNOWN && w.whole > 0)
		c->unknown = path;
	r = c->options->filter ? filter_options_apply(c->options->filter, path, p, err) : 0;
	if (r < 0)
		return r;
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	r = profile_calltree(p, type, NULL, NULL, &t);
	if (r == 0)
		r = diff_add(&c->diff, side, &t, &w);
	if (r == -ENOBUFS)
		return error_set(err, r, "%s: with this window the comparison takes more than %zu MiB of memory", path,
				 DIFF_MAX >> 20);
	return r < 0 ? error_set(err, r, "%s: out of memory", path) : 0;
}

/* Decodes one window, adds it and forgets it. */
static int add_file(struct comparison *c, enum diff_side side, const char *path, struct error *err)
{
	struct profile p;
	int r = profile_load(path, c->read, &p, err);
	if (r < 0)
		return r;
	r = add_profile(c, side, &p, path, err);
	profile_done(&p);
	return r;
}

static void print_notes(const struct comparison *c)
{
	if (c->periods_differ)
		(void)fprintf(stderr, "wick diff: the windows were sampled with different periods; shares can be "
				      "compared, absolute values only if they are scaled\n");
	if (c->unknown)
		(void)fprintf(stderr,
			      "wick diff: %s: nothing tells how many samples are behind its values (no type "
			      "samples:count, no period of %s)\n",
			      c->unknown, c->type);
}

static int compare(struct comparison *c, char **windows, struct error *err)
{
	const struct diff_options *o = c->options;
	struct output out;
	int r = o->out ? output_init(&out, o->out, o->to, o->force, OUTPUT_PICTURES, err) : 0;
	if (r < 0)
		return r;
	r = diff_init(&c->diff, &c->budget);
	if (r < 0)
		return error_set(err, r, "out of memory");
	for (uint32_t i = 0; r == 0 && i < o->n_base; i++)
		r = add_file(c, DIFF_A, o->base[i], err);
	for (; r == 0 && *windows; windows++)
		r = add_file(c, DIFF_B, *windows, err);
	if (r < 0)
		return r;
	r = diff_finish(&c->diff);
	if (r < 0)
		return error_set(err, r, "out of memory");
	char *colon = strrchr(c->type, ':');
	*colon = 0;
	struct diff_view view = {
		.diff = &c->diff,
		.type = c->type,
		.unit = colon + 1,
		.mode = o->mode,
		.family = o->stacks	? DIFF_NODE_SELF
			  : o->by_total ? DIFF_FUNC_TOTAL
					: DIFF_FUNC_SELF,
		.limit = o->limit,
		.detect = o->detect,
		.terminal = terminal_of(stdout, o->color),
	};
	if (o->out)
		r = diff_save(&view, &out, err);
	else if (o->json)
		diff_json(&view);
	else if ((r = diff_text(&view)) < 0)
		error_set(err, r, "out of memory");
	if (r < 0)
		return r;
	*colon = ':';
	print_notes(c);
	return 0;
}

enum { OPTION_MODE = 256, OPTION_SORT, OPTION_DETECT, OPTION_COLOR, OPTION_TO };

static const struct option long_options[] = {
	{ "base", required_argument, NULL, 'b' },
	{ "type", required_argument, NULL, 't' },
	{ "mode", required_argument, NULL, OPTION_MODE },
	{ "sort", required_argument, NULL, OPTION_SORT },
	{ "stacks", no_argument, NULL, 's' },
	{ "limit", required_argument, NULL, 'l' },
	{ "detect", required_argument, NULL, OPTION_DETECT },
	{ "json", no_argument, NULL, 'j' },
	{ "output", required_argument, NULL, 'o' },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "force", no_argument, NULL, 'f' },
	{ "color", required_argument, NULL, OPTION_COLOR },
#define FILTER(id, name, option, value, meaning) FILTER_OPTION_ROW(id, option)
#include "model/filter.def"
#undef FILTER
#define READ_LIMIT(field, option, unit, meaning) READ_OPTION_ROW(field, option)
#include "cli/read_option.def"
#undef READ_LIMIT
	READ_OPTION_ROWS{ NULL, 0, NULL, 0 },
};

/* "5%" and "5" are 0.05. */
static bool parse_percent(const char *text, double *ret)
{
	char *end;
	double v = strtod(text, &end);
	if (*end == '%')
		end++;
	if (end == text || *end || !(v > 0) || !(v <= 1e6))
		return false;
	*ret = v / 100;
	return true;
}

/* 0, or the exit status of wrong usage. */
static int take_option(struct diff_options *o, int option)
{
	uint64_t n;
	switch (option) {
	case 'b':
		o->base[o->n_base++] = optarg;
		return 0;
	case 't':
		o->type = optarg;
		return 0;
	case 'o':
		o->out = optarg;
		return 0;
	case OPTION_TO:
		o->to = optarg;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case 's':
		o->stacks = true;
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'l':
		if (!number_parse(optarg, 1, 10000000, &n))
			return command_usage_error(&cmd_diff, "--limit wants a number from 1, not \"%s\"", optarg);
		o->limit = (uint32_t)n;
		return 0;
	case OPTION_MODE:
		return diff_mode_parse(optarg, &o->mode)
			       ? 0
			       : command_usage_error(&cmd_diff,
						     "--mode wants relative, absolute or normalised, not \"%s\"",
						     optarg);
	case OPTION_SORT:
		o->by_total = strcmp(optarg, "total") == 0;
		return o->by_total || strcmp(optarg, "self") == 0
			       ? 0
			       : command_usage_error(&cmd_diff, "--sort wants self or total, not \"%s\"", optarg);
	case OPTION_DETECT:
		return parse_percent(optarg, &o->detect)
			       ? 0
			       : command_usage_error(&cmd_diff, "--detect wants percent, as 5%%, not \"%s\"", optarg);
	case OPTION_COLOR:
		return color_mode_parse(optarg, &o->color)
			       ? 0
			       : command_usage_error(&cmd_diff, "--color wants auto, always or never, not \"%s\"",
						     optarg);
	}
	struct error err;
	if (is_filter_option(option))
		return filter_options_add(&o->filter, option, optarg, &err) < 0
			       ? command_usage_error(&cmd_diff, "%s", err.text)
			       : 0;
	if (is_read_option(option))
		return read_options_set(&o->read, option, optarg, &err) < 0
			       ? command_usage_error(&cmd_diff, "%s", err.text)
			       : 0;
	return -1;
}

static int run_diff(int argc, char **argv)
{
	_cleanup_(options_done)
	struct diff_options options = { .limit = ROWS_DEFAULT,
					.read = read_options_default(),
					.base = calloc((size_t)argc + 1, sizeof(char *)) };
	struct diff_options *o = &options;
	int option;
	opterr = 0;
	if (!o->base)
		return command_failed(&cmd_diff, -ENOMEM, &(struct error){ "out of memory" });
	while ((option = getopt_long(argc, argv, "o:", long_options, NULL)) != -1) {
		int status = take_option(o, option);
		if (status < 0)
			return command_usage_error(&cmd_diff, "unknown option or missing value: %s", argv[optind - 1]);
		if (status)
			return status;
	}
	char **windows = argv + optind;
	if (o->n_base == 0 && argc - optind == 2)
		o->base[o->n_base++] = *windows++;
	if (o->to && !o->out)
		return command_usage_error(&cmd_diff, "--to says the format of -o OUT");
	if (o->n_base == 0 || !*windows)
		return command_usage_error(&cmd_diff,
					   "wants two profiles, or --base A for each window of A and those of B");
	if (command_count_stdin(o->base) + command_count_stdin((const char *const *)windows) > 1)
		return command_usage_error(&cmd_diff, "standard input can be read once");
	_cleanup_(comparison_done)
	struct comparison c = { .options = o, .read = &options.read, .budget = membudget_of(DIFF_MAX) };
	struct error err;
	int r = compare(&c, windows, &err);
	return r < 0 ? command_failed(&cmd_diff, r, &err) : 0;
}

const struct command cmd_diff = {
	.name = "diff",
	.summary = "show what changed between profiles, and whether it is significant",
	.usage = "wick diff A B [OPTION ...] [FILTER ...]\n"
		 "wick diff --base A1 --base A2 ... B1 B2 ... [OPTION ...] [FILTER ...]\n"
		 "Compares functions (or stacks) of A with those of B; either side may be several windows, whose "
		 "spread\n"
		 "then widens the intervals. docs/diff.md defines every number.\n"
		 "  --mode MODE        relative: shares of each side (default); absolute: values as they are;\n"
		 "                     normalised: A scaled to all of B\n"
		 "  --sort self|total  compare functions by their own value (default) or with their callees\n"
		 "  --stacks           compare whole stacks instead of functions\n"
		 "  --limit N          rows, significant ones first, then by the size of the change (20)\n"
		 "  --detect PERCENT   say how many samples would show such a change of each row's share\n"
		 "  --type TYPE        sample type; default: that of the first profile\n"
		 "  --json             everything, unrounded\n"
		 "  -o OUT             a flame graph (.svg .html .slab) instead: width is B, orange more, blue less, "
		 "grey not\n"
		 "                     significant, what is gone apart; --force replaces an existing file\n"
		 "  --to FORMAT        svg, html or slab, whatever OUT says (\"-\": standard output)\n"
		 "  --color WHEN       auto (at a terminal, unless NO_COLOR is set), always, never\n" FILTER_USAGE
			 READ_USAGE,
	.run = run_diff,
};
