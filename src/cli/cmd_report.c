/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonw.h"
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/number.h"
#include "cli/profile_file.h"
#include "model/toptable.h"
#include "model/quantity.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

struct report {
	const char *file, *type_name, *flame;
	uint32_t limit;
	bool json, force;
	struct filter *filter;
};

static void report_done(struct report *r)
{
	filter_free(&r->filter);
}

static void print_json(const struct profile *p, uint32_t type, const struct calltree *t, const struct top_row *rows,
		       uint32_t n)
{
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_str(&w, "type", strtab_get(&p->dict.strings, p->types[type].type));
	jsonw_str(&w, "unit", strtab_get(&p->dict.strings, p->types[type].unit));
	jsonw_i64(&w, "total", t->total[0]);
	jsonw_array(&w, "functions");
	for (uint32_t i = 0; i < n; i++) {
		const struct tree_func *f = &t->funcs[rows[i].func];
		jsonw_object(&w, NULL);
		jsonw_str(&w, "name", strtab_get(&t->names, f->name));
		jsonw_str(&w, "file", strtab_get(&t->names, f->file));
		jsonw_i64(&w, "self", rows[i].self);
		jsonw_i64(&w, "total", rows[i].total);
		jsonw_end(&w, '}');
	}
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	buf_add_byte(&out, '\n');
	(void)fwrite(out.data, 1, out.n, stdout);
}

static double percent(int64_t part, int64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_text(const struct profile *p, uint32_t type, const struct calltree *t, const struct top_row *rows,
		       uint32_t n, uint32_t n_all)
{
	const char *unit = strtab_cstr(&p->dict.strings, p->types[type].unit);
	char self[QUANTITY_SIZE], total[QUANTITY_SIZE];
	quantity_format(t->total[0], unit, total);
	(void)printf("%s: %s in %u functions\n", strtab_cstr(&p->dict.strings, p->types[type].type), total, n_all);
	(void)printf("%10s %7s %10s %7s  %s\n", "self", "self%", "total", "total%", "function");
	for (uint32_t i = 0; i < n; i++) {
		quantity_format(rows[i].self, unit, self);
		quantity_format(rows[i].total, unit, total);
		struct slice name = strtab_get(&t->names, t->funcs[rows[i].func].name);
		(void)printf("%10s %6.2f%% %10s %6.2f%%  ", self, percent(rows[i].self, t->total[0]), total,
			     percent(rows[i].total, t->total[0]));
		/* A name must not move the cursor. */
		for (size_t k = 0; k < name.size; k++)
			(void)putchar(name.data[k] < 0x20 || name.data[k] == 0x7f ? '?' : name.data[k]);
		(void)putchar('\n');
	}
	if (n < n_all)
		(void)printf("%u more functions; --top %u shows all\n", n_all - n, n_all);
}

static int report(const struct report *o, const struct profile *p, struct error *err)
{
	if (p->n_types == 0)
		return error_set(err, -EBADMSG, "%s: the profile has no sample types", o->file);
	uint32_t type = profile_default_type(p), n;
	int r = o->type_name ? profile_find_type(p, o->type_name, &type, err) : 0;
	if (r < 0)
		return r;
	if (o->flame) {
		r = profile_save(p, o->flame, o->type_name, o->force, err);
		if (r < 0 || !o->json)
			return r;
	}
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	r = profile_calltree(p, type, NULL, NULL, &t);
	if (r == 0)
		r = top_compute(&t, TOP_BY_SELF, &rows, &n);
	if (r < 0)
		return error_set(err, r, "%s: out of memory", o->file);
	uint32_t n_shown = n < o->limit ? n : o->limit;
	if (o->json)
		print_json(p, type, &t, rows, n_shown);
	else
		print_text(p, type, &t, rows, n_shown, n);
	return 0;
}

static int run_report(int argc, char **argv)
{
	static const struct option options[] = {
		{ "top", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "flame", required_argument, NULL, 'o' },
		{ "type", required_argument, NULL, 't' },
		{ "force", no_argument, NULL, 'f' },
#define FILTER(id, name, option, value, meaning) FILTER_OPTION_ROW(id, option)
#include "model/filter.def"
#undef FILTER
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(report_done)
	struct report o_report = { .limit = 20 };
	struct report *r = &o_report;
	struct error err;
	uint64_t n;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'n':
			if (!number_parse(optarg, 1, 10000000, &n))
				return command_usage_error(&cmd_report, "--top wants a number from 1, not \"%s\"",
							   optarg);
			r->limit = (uint32_t)n;
			break;
		case 'j':
			r->json = true;
			break;
		case 'o':
			r->flame = optarg;
			break;
		case 't':
			r->type_name = optarg;
			break;
		case 'f':
			r->force = true;
			break;
		default:
			if (is_filter_option(o)) {
				if (filter_options_add(&r->filter, o, optarg, &err) < 0)
					return command_usage_error(&cmd_report, "%s", err.text);
				break;
			}
			return command_usage_error(&cmd_report, "unknown option or missing value: %s",
						   argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return command_usage_error(&cmd_report, "wants one profile");
	r->file = argv[optind];
	struct profile p;
	int status = r->flame ? profile_check_output(r->flame, r->force, &err) : 0;
	if (status == 0)
		status = profile_load(r->file, &p, &err);
	if (status < 0)
		return command_failed(&cmd_report, status, &err);
	status = filter_options_apply(r->filter, r->file, &p, &err);
	if (status == 0)
		status = report(r, &p, &err);
	profile_done(&p);
	return status < 0 ? command_failed(&cmd_report, status, &err) : 0;
}

const struct command cmd_report = {
	.name = "report",
	.summary = "show where a profile's time went",
	.usage = "wick report FILE [--top N] [--type TYPE] [--json] [--flame OUT.svg|OUT.html] [--force]\n"
		 "                 [FILTER ...]\n"
		 "Functions by their own value, N of them (20). --flame writes a flame graph instead.\n" FILTER_USAGE,
	.run = run_report,
};
