/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/number.h"
#include "cli/profile_file.h"
#include "cli/profile_save.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct convert_options {
	const char *type, *to;
	bool force, collapses;
	const char *needs_collapse; /* an option that means nothing alone */
	struct stackcollapse_options collapse;
	bool has_dot;
	struct dot_options dot;
	struct filter *filter;
	struct read_options read;
};

static void convert_options_done(struct convert_options *c)
{
	filter_free(&c->filter);
}

static bool parse_dot_option(struct convert_options *c, int o, const char *name, struct error *err)
{
	c->has_dot = true;
	if (o == 'N') {
		uint64_t n;
		if (!number_parse(optarg, 0, UINT32_MAX, &n))
			return error_set(err, -EINVAL, "--%s wants a number from 0, not \"%s\"", name, optarg), false;
		c->dot.max_nodes = (uint32_t)n;
		return true;
	}
	char *end;
	double percent = strtod(optarg, &end);
	if (end == optarg || *end || !(percent >= 0 && percent <= 100))
		return error_set(err, -EINVAL, "--%s wants a number from 0 to 100, not \"%s\"", name, optarg), false;
	*(o == 'n' ? &c->dot.node_fraction : &c->dot.edge_fraction) = percent / 100;
	return true;
}

/* False: unknown, its value is missing, or what `err` says. */
static bool parse_options(int argc, char **argv, struct convert_options *ret, struct error *err)
{
	static const struct option options[] = {
		{ "type", required_argument, NULL, 't' },
		{ "to", required_argument, NULL, 'T' },
		{ "force", no_argument, NULL, 'f' },
		{ "stackcollapse", no_argument, NULL, 's' },
		{ "all", no_argument, NULL, 'a' },
		{ "kernel", no_argument, NULL, 'k' },
		{ "jit", no_argument, NULL, 'j' },
		{ "pid", no_argument, NULL, 'p' },
		{ "tid", no_argument, NULL, 'i' },
		{ "addrs", no_argument, NULL, 'd' },
		{ "event", required_argument, NULL, 'e' },
		{ "max-nodes", required_argument, NULL, 'N' },
		{ "min-node", required_argument, NULL, 'n' },
		{ "min-edge", required_argument, NULL, 'E' },
#define FILTER(id, name, option, value, meaning) FILTER_OPTION_ROW(id, option)
#include "model/filter.def"
#undef FILTER
#define READ_LIMIT(field, option, unit, meaning) READ_OPTION_ROW(field, option)
#include "cli/read_option.def"
#undef READ_LIMIT
		READ_OPTION_ROWS{ NULL, 0, NULL, 0 },
	};
	struct convert_options c = { .read = read_options_default(),
				     .dot = { .max_nodes = DOT_MAX_NODES,
					      .node_fraction = DOT_NODE_FRACTION,
					      .edge_fraction = DOT_EDGE_FRACTION } };
	int o, which;
	err->text[0] = 0;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (o == '?' || (is_filter_option(o) && filter_options_add(&c.filter, o, optarg, err) < 0) ||
		    (is_read_option(o) && read_options_set(&c.read, o, optarg, err) < 0)) {
			convert_options_done(&c);
			return false;
		}
		if (is_filter_option(o) || is_read_option(o))
			continue;
		if (strchr("NnE", o)) {
			if (!parse_dot_option(&c, o, options[which].name, err)) {
				convert_options_done(&c);
				return false;
			}
			continue;
		}
		if (!strchr("tTfs", o))
			c.needs_collapse = options[which].name;
		switch (o) {
		case 't':
			c.type = optarg;
			break;
		case 'T':
			c.to = optarg;
			break;
		case 'f':
			c.force = true;
			break;
		case 's':
			c.collapses = true;
			break;
		case 'e':
			c.collapse.event = optarg;
			break;
		}
		c.collapse.kernel = c.collapse.kernel || o == 'a' || o == 'k';
		c.collapse.jit = c.collapse.jit || o == 'a' || o == 'j';
		c.collapse.pid = c.collapse.pid || o == 'p';
		c.collapse.tid = c.collapse.tid || o == 'i';
		c.collapse.addrs = c.collapse.addrs || o == 'd';
	}
	*ret = c;
	return true;
}

/* What does not go with the format, said before a long input is read. */
static int check_format(const struct convert_options *c, const struct output *o, struct error *err)
{
	if (c->collapses && o->format != OUTPUT_FOLDED)
		return error_set(err, -EINVAL, "%s: --stackcollapse writes .folded .collapsed .txt only", o->path);
	if (c->has_dot && o->format != OUTPUT_DOT)
		return error_set(err, -EINVAL, "%s: --max-nodes, --min-node and --min-edge are for .dot", o->path);
	return 0;
}

static int convert(struct convert_options *c, const char *in, const char *path, struct error *err)
{
	struct output out;
	struct profile p;
	int r = output_init(&out, path, c->to, c->force, OUTPUT_ANY, err);
	if (r == 0)
		r = check_format(c, &out, err);
	c->read.wants_times = out.format == OUTPUT_OTLP || out.format == OUTPUT_OTLP_GZ;
	if (r == 0)
		r = profile_load(in, &c->read, &p, err);
	if (r < 0)
		return r;
	struct save_options options = { .is_type_given = c->type != NULL,
					.dot = &c->dot,
					.collapse = c->collapses ? &c->collapse : NULL };
	r = profile_choose_type(&p, c->type, in, &options.type, err);
	if (r == 0)
		r = filter_options_apply(c->filter, in, &p, err);
	if (r == 0)
		r = profile_save(&p, &out, &options, err);
	profile_done(&p);
	return r;
}

static int run_convert(int argc, char **argv)
{
	_cleanup_(convert_options_done)
	struct convert_options c = { 0 };
	struct error err;
	if (!parse_options(argc, argv, &c, &err))
		return err.text[0] ? command_usage_error(&cmd_convert, "%s", err.text)
				   : command_usage_error(&cmd_convert, "unknown option or missing value: %s",
							 argv[optind - 1]);
	if (c.needs_collapse && !c.collapses)
		return command_usage_error(&cmd_convert, "--%s needs --stackcollapse", c.needs_collapse);
	if (c.type && c.collapses)
		return command_usage_error(&cmd_convert, "--stackcollapse chooses by --event, not --type");
	if (c.has_dot && c.collapses)
		return command_usage_error(&cmd_convert, "--stackcollapse draws no graph");
	if (argc - optind != 2)
		return command_usage_error(&cmd_convert, "wants an input and an output file");
	int r = convert(&c, argv[optind], argv[optind + 1], &err);
	return r < 0 ? command_failed(&cmd_convert, r, &err) : 0;
}

const struct command cmd_convert = {
	.name = "convert",
	.summary = "write a profile in another format",
	.usage =
		"wick convert IN OUT [--to FORMAT] [--type TYPE] [--force] [FILTER ...]\n"
		"wick convert IN OUT.dot [--max-nodes N] [--min-node PERCENT] [--min-edge PERCENT] [...]\n"
		"wick convert IN OUT --stackcollapse [--event NAME] [--all] [--kernel] [--jit] [--pid] [--tid]\n"
		"             [--addrs] [--force]\n"
		"IN (\"-\": standard input) is told by content: pprof, OTLP profiles (gzip, zstd, raw), perf.data,\n"
		"perf script, folded stacks, speedscope, Pyroscope's flamebearer JSON, V8's .cpuprofile and "
		".heapprofile,\n"
		"gperftools' older forms (CPU, heap, growth, contention, goroutine, threads; Java), callgrind.\n"
		"OUT by name: .pb.gz .pprof .prof .pb .folded .collapsed .txt .svg .html .slab .otlp .otlp.gz\n"
		".speedscope.json .flamebearer.json .dot .csv .callgrind; or \"-\" (standard output) and --to.\n"
		"--to FORMAT is the format whatever the name says: those without the first dot.\n"
		"--type picks the sample type for formats that hold one, and the only one of .csv.\n"
		"--max-nodes (80; 0: all), --min-node (0.5) and --min-edge (0.1 percent) say what .dot leaves out.\n"
		"--stackcollapse writes what stackcollapse-perf.pl makes of perf script: one event (--event, else the\n"
		"first), names shortened, the thread's name as root (--pid, --tid: and its numbers), --kernel and "
		"--jit\n"
		"(--all: both) mark frames with _[k] and _[j], --addrs shows where frames without a name "
		"lie.\n" FILTER_USAGE READ_USAGE,
	.run = run_convert,
};
