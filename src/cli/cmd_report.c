/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/number.h"
#include "cli/profile_file.h"
#include "cli/profile_save.h"
#include "cli/report_peek.h"
#include "cli/report_raw.h"
#include "cli/report_top.h"
#include "cli/report_tree.h"
#include "model/callers.h"
#include "model/inlining.h"
#include "model/labelgroups.h"
#include "model/namesake.h"
#include "object/name_shorten.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>

enum view { VIEW_NONE, VIEW_TOP, VIEW_TREE, VIEW_PEEK, VIEW_CALLERS, VIEW_CALLEES, VIEW_RAW };

struct report_options {
	const char *file, *type_name, *flame, *to, *label;
	struct output output; /* of `flame` */
	enum view view;
	uint32_t limit, shorten;
	bool has_limit, has_sort, lines, json, force;
	double min_percent; /* < 0: the view's own */
	enum top_order sort;
	enum color_mode color;
	struct pattern *pattern; /* of --peek, --callers, --callees */
	struct filter *filter;
	struct read_options read;
};

static void options_done(struct report_options *o)
{
	filter_free(&o->filter);
	pattern_free(&o->pattern);
}

enum {
	OPTION_COLOR = 256,
	OPTION_MIN_PERCENT,
	OPTION_SORT,
	OPTION_PEEK,
	OPTION_CALLERS,
	OPTION_CALLEES,
	OPTION_BY,
	OPTION_SHORTEN,
	OPTION_TO
};

static const struct option long_options[] = {
	{ "top", optional_argument, NULL, 'n' },
	{ "tree", no_argument, NULL, 'T' },
	{ "peek", required_argument, NULL, OPTION_PEEK },
	{ "callers", required_argument, NULL, OPTION_CALLERS },
	{ "callees", required_argument, NULL, OPTION_CALLEES },
	{ "raw", no_argument, NULL, 'r' },
	{ "lines", no_argument, NULL, 'L' },
	{ "by", required_argument, NULL, OPTION_BY },
	{ "limit", required_argument, NULL, 'l' },
	{ "min-percent", required_argument, NULL, OPTION_MIN_PERCENT },
	{ "sort", required_argument, NULL, OPTION_SORT },
	{ "shorten", required_argument, NULL, OPTION_SHORTEN },
	{ "color", required_argument, NULL, OPTION_COLOR },
	{ "json", no_argument, NULL, 'j' },
	{ "flame", required_argument, NULL, 'o' },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "type", required_argument, NULL, 't' },
	{ "force", no_argument, NULL, 'f' },
#define FILTER(id, name, option, value, meaning) FILTER_OPTION_ROW(id, option)
#include "model/filter.def"
#undef FILTER
#define READ_LIMIT(field, option, unit, meaning) READ_OPTION_ROW(field, option)
#include "cli/read_option.def"
#undef READ_LIMIT
	READ_OPTION_ROWS{ NULL, 0, NULL, 0 },
};

static int set_view(struct report_options *o, enum view view)
{
	if (o->view != VIEW_NONE && (o->view != view || o->pattern))
		return command_usage_error(&cmd_report, "one view at a time: --top, --tree, --peek, --callers, "
							"--callees or --raw");
	o->view = view;
	return 0;
}

static int set_limit(struct report_options *o, const char *option, const char *text)
{
	uint64_t n;
	if (!number_parse(text, 1, 10000000, &n))
		return command_usage_error(&cmd_report, "%s wants a number from 1, not \"%s\"", option, text);
	o->limit = (uint32_t)n;
	o->has_limit = true;
	return 0;
}

/* "--top 5" and "--top=5"; a number is not taken for a file. */
static int set_top(struct report_options *o, int argc, char **argv)
{
	uint64_t n;
	const char *text = optarg;
	if (!text && optind < argc && number_parse(argv[optind], 0, UINT64_MAX, &n))
		text = argv[optind++];
	int status = set_view(o, VIEW_TOP);
	return status || !text ? status : set_limit(o, "--top", text);
}

static int set_pattern_view(struct report_options *o, enum view view, const char *option)
{
	struct error err;
	int status = set_view(o, view);
	if (status == 0 && pattern_new(slice_str(optarg), &o->pattern, &err) < 0)
		status = command_usage_error(&cmd_report, "%s: %s", option, err.text);
	return status;
}

static int set_min_percent(struct report_options *o)
{
	char *end;
	double percent = strtod(optarg, &end);
	if (end == optarg || *end || !(percent >= 0 && percent <= 100))
		return command_usage_error(&cmd_report, "--min-percent wants a number from 0 to 100, not \"%s\"",
					   optarg);
	o->min_percent = percent;
	return 0;
}

static int set_shorten(struct report_options *o)
{
	uint64_t n;
	if (!number_parse(optarg, NAME_SHORTEN_MIN, NAME_SHORTEN_MAX, &n))
		return command_usage_error(&cmd_report, "--shorten wants a number from %d, not \"%s\"",
					   NAME_SHORTEN_MIN, optarg);
	o->shorten = (uint32_t)n;
	return 0;
}

static int set_sort(struct report_options *o)
{
	if (strcmp(optarg, "self") != 0 && strcmp(optarg, "total") != 0)
		return command_usage_error(&cmd_report, "--sort wants self or total, not \"%s\"", optarg);
	o->sort = *optarg == 's' ? TOP_BY_SELF : TOP_BY_TOTAL;
	o->has_sort = true;
	return 0;
}

static int add_filter(struct report_options *o, int option)
{
	struct error err;
	int r = filter_options_add(&o->filter, option, optarg, &err);
	return r < 0 ? command_usage_error(&cmd_report, "%s", err.text) : 0;
}

static int set_read(struct report_options *o, int option)
{
	struct error err;
	int r = read_options_set(&o->read, option, optarg, &err);
	return r < 0 ? command_usage_error(&cmd_report, "%s", err.text) : 0;
}

static int set_option(struct report_options *o, int option, int argc, char **argv)
{
	if (is_filter_option(option))
		return add_filter(o, option);
	if (is_read_option(option))
		return set_read(o, option);
	switch (option) {
	case 'n':
		return set_top(o, argc, argv);
	case 'T':
		return set_view(o, VIEW_TREE);
	case OPTION_PEEK:
		return set_pattern_view(o, VIEW_PEEK, "--peek");
	case OPTION_CALLERS:
		return set_pattern_view(o, VIEW_CALLERS, "--callers");
	case OPTION_CALLEES:
		return set_pattern_view(o, VIEW_CALLEES, "--callees");
	case 'r':
		return set_view(o, VIEW_RAW);
	case 'L':
		o->lines = true;
		return 0;
	case 'l':
		return set_limit(o, "--limit", optarg);
	case OPTION_BY:
		o->label = optarg;
		return 0;
	case OPTION_MIN_PERCENT:
		return set_min_percent(o);
	case OPTION_SORT:
		return set_sort(o);
	case OPTION_SHORTEN:
		return set_shorten(o);
	case OPTION_COLOR:
		if (!color_mode_parse(optarg, &o->color))
			return command_usage_error(&cmd_report, "--color wants auto, always or never, not \"%s\"",
						   optarg);
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case 'o':
		o->flame = optarg;
		return 0;
	case OPTION_TO:
		o->to = optarg;
		return 0;
	case 't':
		o->type_name = optarg;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	default:
		return command_usage_error(&cmd_report, "unknown option or missing value: %s", argv[optind - 1]);
	}
}

static int show_matches(const struct report_options *o, const struct report *r, struct error *err)
{
	_cleanup_(free_ptr)
	bool *match = NULL;
	uint32_t n;
	int k = callers_match(r->tree, o->pattern, &match, &n, err);
	if (k < 0)
		return k;
	if (n == 0 && r->tree->n > 1)
		return error_set(err, -ENOENT, "no function's name matches");
	k = o->view == VIEW_PEEK      ? report_peek(r, match)
	    : o->view == VIEW_CALLERS ? report_callers(r, match)
				      : report_callees(r, match);
	return k < 0 ? error_set(err, k, "out of memory") : 0;
}

static int make_tree(const struct report_options *o, const struct report *r, struct calltree *ret, struct error *err)
{
	/* Tables of the whole profile want sums only. */
	bool loose = o->view != VIEW_TREE && !o->pattern && !o->label;
	struct calltree_view view = { .lines = o->lines, .loose = loose };
	_cleanup_(labelgroups_done)
	struct labelgroups groups = { 0 };
	int k = 0;
	/* No samples have no labels; the views say that there are none. */
	bool is_grouped = o->label && profile_n_samples(r->profile);
	if (is_grouped)
		k = labelgroups_init(r->profile, r->type, o->label, &groups, err);
	if (k < 0)
		return k;
	k = is_grouped ? labelgroups_tree(&groups, r->profile, r->type, "(none)", &view, ret)
		       : profile_calltree(r->profile, r->type, NULL, &view, ret);
	return k < 0 ? error_set(err, k, "out of memory") : 0;
}

static int show_tree(const struct report_options *o, struct report *r, struct error *err)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	_cleanup_(free_ptr)
	uint8_t *inlining = NULL, *namesake = NULL;
	_cleanup_(free_ptr)
	char *short_name = r->shorten ? malloc((size_t)r->shorten + 1) : NULL;
	if (r->shorten && !short_name)
		return error_set(err, -ENOMEM, "out of memory");
	r->short_name = short_name;
	int k = make_tree(o, r, &t, err);
	if (k < 0)
		return k;
	k = inlining_find(r->profile, r->type, &t, o->lines, &inlining);
	if (k == 0)
		k = namesakes_find(&t, &namesake);
	r->tree = &t;
	r->inlining = inlining;
	r->namesake = namesake;
	if (k == 0 && o->pattern)
		return show_matches(o, r, err);
	if (k == 0)
		k = o->view == VIEW_TREE ? report_tree(r) : report_top(r);
	return k < 0 ? error_set(err, k, "out of memory") : 0;
}

static int show_raw(const struct report_options *o, struct profile *p, struct error *err)
{
	int k = filter_options_apply(o->filter, o->file, p, err);
	if (k < 0)
		return k;
	k = report_raw(p, o->json);
	return k < 0 ? error_set(err, k, "%s: out of memory", o->file) : 0;
}

static int show(const struct report_options *o, struct profile *p, struct error *err)
{
	if (p->n_types == 0)
		return error_set(err, -EBADMSG, "%s: the profile has no sample types", o->file);
	bool is_tree = o->view == VIEW_TREE || o->view == VIEW_CALLERS || o->view == VIEW_CALLEES;
	struct report r = {
		.profile = p,
		.label = o->label,
		.limit = o->has_limit ? o->limit
			 : is_tree    ? 0
				      : 20,
		.min_percent = o->min_percent >= 0 ? o->min_percent
			       : is_tree	   ? 0.5
						   : 0,
		.sort = o->sort,
		.shorten = o->shorten,
		.lines = o->lines,
		.json = o->json,
		.terminal = terminal_of(stdout, o->color),
	};
	int k = profile_choose_type(p, o->type_name, o->file, &r.type, err);
	if (k < 0)
		return k;
	/* Shares are those of all there is, as pprof has them. */
	r.whole = report_whole(p, r.type);
	k = filter_options_apply(o->filter, o->file, p, err);
	if (k < 0)
		return k;
	if (o->flame) {
		struct save_options options = { .type = r.type, .is_type_given = o->type_name != NULL };
		return profile_save(p, &o->output, &options, err);
	}
	k = show_tree(o, &r, err);
	if (k < 0)
		error_prefix(err, "%s", o->file);
	return k;
}

/* The first option given that a view has no use for; NULL: all have one. */
static const char *useless_option(const struct report_options *o)
{
	bool is_raw = o->view == VIEW_RAW, is_all = is_raw || o->flame;
	const struct {
		bool is_useless;
		const char *name;
	} options[] = {
		{ o->flame && o->view != VIEW_NONE, "a view" },
		{ o->flame && o->json, "--json" },
		{ is_all && o->lines, "--lines" },
		{ is_all && o->has_limit, "--limit" },
		{ is_all && o->min_percent >= 0, "--min-percent" },
		{ is_all && o->shorten, "--shorten" },
		{ is_raw && o->type_name, "--type" },
		{ (is_all || (o->view != VIEW_NONE && o->view != VIEW_TOP)) && o->has_sort, "--sort" },
		{ (is_all || (o->view != VIEW_NONE && o->view != VIEW_TOP && o->view != VIEW_TREE)) && o->label,
		  "--by" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].is_useless)
			return options[i].name;
	return NULL;
}

static const char *view_name(const struct report_options *o)
{
	static const char *const names[] = {
		[VIEW_NONE] = "--top",	[VIEW_TOP] = "--top",	      [VIEW_TREE] = "--tree",
		[VIEW_PEEK] = "--peek", [VIEW_CALLERS] = "--callers", [VIEW_CALLEES] = "--callees",
		[VIEW_RAW] = "--raw",
	};
	return o->flame ? "--flame" : names[o->view];
}

static int run_report(int argc, char **argv)
{
	_cleanup_(options_done)
	struct report_options o = { .min_percent = -1, .read = read_options_default() };
	int option;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		int status = set_option(&o, option, argc, argv);
		if (status)
			return status;
	}
	if (o.to && !o.flame)
		return command_usage_error(&cmd_report, "--to says the format of --flame OUT");
	const char *useless = useless_option(&o);
	if (useless)
		return command_usage_error(&cmd_report, "%s does not go with %s", useless, view_name(&o));
	if (argc - optind != 1)
		return command_usage_error(&cmd_report, "wants one profile%s%s", argc > optind ? ", not also " : "",
					   argc > optind ? argv[optind + 1] : "");
	o.file = argv[optind];
	struct error err;
	struct profile p;
	int status = o.flame ? output_init(&o.output, o.flame, o.to, o.force, OUTPUT_ANY, &err) : 0;
	if (status == 0)
		status = profile_load(o.file, &o.read, &p, &err);
	if (status < 0)
		return command_failed(&cmd_report, status, &err);
	status = o.view == VIEW_RAW ? show_raw(&o, &p, &err) : show(&o, &p, &err);
	profile_done(&p);
	return status < 0 ? command_failed(&cmd_report, status, &err) : 0;
}

const struct command cmd_report = {
	.name = "report",
	.summary = "show where a profile's time went",
	.usage = "wick report FILE [VIEW] [options] [FILTER ...]\n"
		 "wick report FILE --flame OUT.svg|OUT.html [--to FORMAT] [--force]\n"
		 "Views:\n"
		 "  --top [N]          functions by their own value, N of them (default, 20)\n"
		 "  --tree             the call tree\n"
		 "  --peek RE          functions that match, with their callers above and callees below\n"
		 "  --callers RE       functions that match, below each its callers up to the root\n"
		 "  --callees RE       functions that match, below each what it calls\n"
		 "  --raw              everything the profile holds, in the layout of pprof -raw\n"
		 "  --flame OUT        write a flame graph instead\n"
		 "Options:\n"
		 "  --lines            line by line instead of function by function\n"
		 "  --by LABEL         apart by the label's values: the first level of --tree, a table each of --top\n"
		 "  --type TYPE        sample type, such as cpu or alloc_space:bytes\n"
		 "  --limit N          at most N rows\n"
		 "  --min-percent P    no rows below P % of the whole (0; 0.5 for trees)\n"
		 "  --sort self|total  order of --top\n"
		 "  --shorten N        names in N bytes: \"...\" for what their innermost brackets hold\n"
		 "  --color WHEN       auto (at a terminal, unless NO_COLOR is set), always, never\n"
		 "  --json             the same as JSON\n" FILTER_USAGE READ_USAGE,
	.run = run_report,
};
