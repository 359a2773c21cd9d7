/* SPDX-License-Identifier: Apache-2.0 */
/* store_export.c: wick store export: what is stored, as pprof files. */
#include "base/outfile.h"
#include "cli/store_open.h"
#include "format/pprof.h"
#include "model/profile_pick.h"
#include "query/select.h"
#include "store/view.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define EXPORT_MEMORY ((size_t)4 << 30)
#define OUTPUT_MAX    ((size_t)1 << 30)

struct exporting {
	const char *out, *query;
	bool merge, force;
	struct selector selector;
	struct membudget budget;
	char type[INTAKE_TYPE_MAX + 1];
	struct profile merged;
	uint64_t n_profiles, n_damaged;
};

/* Of the chunk's rows, those that were asked for. */
struct picked {
	struct node_id *node;
	struct labels_id *labels;
	int64_t *value;
	uint32_t *row, n;
};

static void picked_done(struct picked *p)
{
	free(p->node);
	free(p->labels);
	free(p->value);
	free(p->row);
}

static int pick_rows(const struct selection *s, const struct rows *rows, struct picked *p)
{
	size_t n = (size_t)rows->n + 1;
	*p = (struct picked){ .node = malloc(n * sizeof(*p->node)), .labels = malloc(n * sizeof(*p->labels)) };
	p->value = malloc(n * sizeof(*p->value));
	p->row = malloc(n * sizeof(*p->row));
	if (!p->node || !p->labels || !p->value || !p->row)
		return -ENOMEM;
	for (uint32_t i = 0; i < rows->n; i++) {
		if (!selection_has_row(s, rows, i))
			continue;
		p->node[p->n] = (struct node_id){ rows->node[i] };
		p->labels[p->n] = (struct labels_id){ rows->labels ? rows->labels[i] : 0 };
		p->value[p->n] = rows->value[i];
		p->row[p->n] = p->n;
		p->n++;
	}
	return 0;
}

/* "cpu:nanoseconds" becomes the only type. */
static int set_type(struct profile *p, struct slice full)
{
	struct slice unit = type_unit(full);
	struct slice type = slice_of(full.data, unit.size ? full.size - unit.size - 1 : full.size);
	int r = strtab_intern(&p->dict.strings, type, &p->types[0].type);
	return r == 0 ? strtab_intern(&p->dict.strings, unit, &p->types[0].unit) : r;
}

/* What tells series apart becomes labels of each sample: files are read by tools that know no series. */
static int add_series_labels(struct profile *p, const struct part *part, const struct series *series)
{
	for (uint32_t i = 0; i < p->node.n; i++) {
		struct label set[LABELS_MAX];
		uint32_t n;
		const struct label *own = profile_label_set(p, p->labels.data[i], &n);
		memcpy(set, own, n * sizeof(*set));
		for (int k = 0; k < N_SERIES_LABELS && n < LABELS_MAX; k++) {
			struct label *label = &set[n];
			*label = (struct label){ .is_num = 0 };
			if (!series->label[k].v)
				continue;
			int r = strtab_intern(&p->dict.strings, slice_str(series_label_name((enum series_label)k)),
					      &label->key);
			if (r == 0)
				r = strtab_intern(&p->dict.strings, part_string(part, series->label[k]), &label->str);
			if (r < 0)
				return r;
			n++;
		}
		int r = profile_labels(p, set, n, &p->labels.data[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_profile(const struct part *part, const struct series *series, const struct chunk *chunk,
			const struct picked *picked, struct profile *ret)
{
	/* Names are the part's, rows ours; nothing of it is given back. */
	struct profile src = part->names;
	src.n_types = 1;
	src.types[0] = (struct value_type){ { 0 }, { 0 } };
	src.node.data = picked->node;
	src.labels.data = picked->labels;
	src.value[0].data = picked->value;
	src.node.n = src.labels.n = src.value[0].n = picked->n;
	src.sample_time_ns.n = 0;
	int r = profile_pick(ret, &src, picked->row, picked->n, 1);
	if (r == 0)
		r = set_type(ret, part_string(part, series->type));
	if (r == 0)
		r = add_series_labels(ret, part, series);
	ret->time_ns = chunk->from_ms * 1000000;
	ret->duration_ns = (int64_t)chunk->duration_ms * 1000000;
	return r;
}

static int write_file(const struct exporting *x, const struct profile *p, const char *path, struct error *err)
{
	_cleanup_(buf_done)
	struct buf bytes = buf_of(OUTPUT_MAX);
	int r = pprof_encode_gz(p, &bytes);
	if (r < 0)
		return error_set(err, r, "%s: %s", path, r == -E2BIG ? "larger than 1 GiB" : strerror(-r));
	return outfile_write(path, slice_of(bytes.data, bytes.n), x->force, err);
}

/* service.host.type.START.N.pb.gz, with nothing in it that a shell or a file system would mind. */
static void name_file(const struct exporting *x, const struct part *part, const struct series *series, int64_t from_ms,
		      char *out, size_t size)
{
	struct slice service = part_string(part, series->label[SERIES_SERVICE]);
	struct slice host = part_string(part, series->label[SERIES_HOST]);
	struct slice type = part_string(part, series->type);
	char name[192];
	(void)snprintf(name, sizeof(name), "%.*s.%.*s.%.*s", (int)(service.size < 50 ? service.size : 50),
		       (const char *)service.data, (int)(host.size < 50 ? host.size : 50), (const char *)host.data,
		       (int)(type.size < 50 ? type.size : 50), (const char *)type.data);
	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_", *c))
			*c = '_';
	(void)snprintf(out, size, "%s/%s%s.%" PRId64 ".%" PRIu64 ".pb.gz", x->out, name[0] == '.' ? "_" : "", name,
		       from_ms, x->n_profiles);
}

static int take_profile(struct exporting *x, const struct part *part, const struct series *series,
			const struct chunk *chunk, const struct picked *picked, struct error *err)
{
	char path[4096 + 256];
	struct profile p;
	int r = profile_init(&p, &x->budget);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = make_profile(part, series, chunk, picked, &p);
	if (r < 0) {
		(void)error_set(err, r, "a profile cannot be made: %s", strerror(-r));
	} else if (x->merge) {
		r = profile_merge(&x->merged, &p, err);
		if (r == -EINVAL)
			error_append(err, "; choose one by --query 'cpu:nanoseconds{}'");
	} else {
		name_file(x, part, series, chunk->from_ms, path, sizeof(path));
		r = write_file(x, &p, path, err);
	}
	profile_done(&p);
	if (r == 0)
		x->n_profiles += chunk->n_profiles ? chunk->n_profiles : 1;
	return r;
}

static int export_series(struct exporting *x, const struct selection *s, struct scan *scan, uint32_t i,
			 struct error *err)
{
	int r = scan_series(scan, i);
	while (r >= 0 && (r = scan_next(scan)) == 1) {
		struct rows rows;
		struct picked picked = { 0 };
		r = scan_rows(scan, &rows);
		if (r == 0)
			continue;
		if (r == 1)
			r = pick_rows(s, &rows, &picked);
		if (r == 0 && picked.n)
			r = take_profile(x, s->part, &s->part->series.data[i], &scan->chunk, &picked, err);
		picked_done(&picked);
	}
	if (r < 0 && !err->text[0])
		(void)error_set(err, r, "cannot read: %s", strerror(-r));
	return r;
}

static int export_part(struct exporting *x, const struct part *part, struct error *err)
{
	struct selection s;
	struct scan scan;
	int r = selection_init(&s, part, &x->selector, &x->budget, err);
	if (r == 0) {
		s.is_raw = !x->merge;
		r = selection_scan(&s, 0, &scan);
		for (uint32_t i = 0; r >= 0 && s.any_series && i < part->series.n; i++)
			if (s.series[i])
				r = export_series(x, &s, &scan, i, err);
		x->n_damaged += scan.stats.n_damaged;
		selection_scan_done(&s, &scan);
	}
	selection_done(&s);
	return r < 0 ? r : 0;
}

static int see_type(void *arg, struct slice type)
{
	return type_match_add(arg, type, NULL);
}

/* "cpu" is "cpu:nanoseconds" where nothing else is meant. */
static int find_type(struct exporting *x, struct view *v, struct error *err)
{
	struct type_match match = { .asked = x->selector.matchers ? x->selector.matchers->type : slice_str("") };
	if (match.asked.size == 0)
		return 0;
	int r = view_types(v, x->selector.from_ms, x->selector.to_ms, see_type, &match);
	if (r < 0)
		return error_set(err, r, "--query: %.*s may be several types: write it as type:unit",
				 SLICE_FMT(match.asked));
	struct slice type = type_match_get(&match);
	(void)snprintf(x->type, sizeof(x->type), "%.*s", SLICE_FMT(type));
	x->selector.type = slice_str(x->type);
	return 0;
}

static int export_view(struct exporting *x, struct view *v, struct error *err)
{
	int r = find_type(x, v, err);
	for (uint32_t i = 0; r == 0 && i < view_n_parts(v); i++) {
		const struct part *part;
		if (!view_may_have(v, i, x->selector.from_ms, x->selector.to_ms))
			continue;
		r = view_open(v, i, &part, err);
		if (r < 0)
			break;
		r = export_part(x, part, err);
		view_close(v, i);
	}
	return r;
}

static int export_store(struct exporting *x, const struct store_place *place, struct error *err)
{
	_cleanup_(store_close)
	struct store *store = NULL;
	_cleanup_(view_free)
	struct view *v = NULL;
	int r = x->merge ? outfile_check(x->out, x->force, err) : 0;
	if (r == 0)
		r = store_place_open(place, false, &store, err);
	if (r == 0 && !x->merge && mkdir(x->out, 0777) < 0 && (errno != EEXIST || !x->force))
		r = error_set(err, -errno, "%s: %m%s", x->out,
			      errno == EEXIST ? ": give another name, or --force" : "");
	if (r == 0 && view_take(store, &v) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = export_view(x, v, err);
	if (r == 0 && x->n_profiles == 0)
		r = error_set(err, -ENOENT, "nothing is stored of what was asked for%s",
			      x->merge ? "" : " one by one; --merge takes sums, too");
	if (r == 0 && x->merge && profile_compact(&x->merged) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r == 0 && x->merge ? write_file(x, &x->merged, x->out, err) : r;
}

/* Milliseconds, or 2026-01-31 or 2026-01-31T12:00:00Z. */
static bool parse_time(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	char *end;
	errno = 0;
	long long ms = strtoll(text, &end, 10);
	if (*text && !*end && errno == 0) {
		*ret = ms;
		return true;
	}
	memset(&tm, 0, sizeof(tm));
	end = strptime(text, "%Y-%m-%d", &tm);
	if (end && *end == 'T')
		end = strptime(end, "T%H:%M:%SZ", &tm);
	if (!end || *end)
		return false;
	*ret = (int64_t)timegm(&tm) * 1000;
	return true;
}

static int export_and_tell(struct exporting *x, struct store_place *place, struct error *err)
{
	int r = store_place_find(place, err);
	if (r == 0 && x->query)
		r = matchers_parse(slice_str(x->query), &x->selector.matchers, err);
	if (r < 0)
		return r;
	r = profile_init(&x->merged, &x->budget);
	if (r == 0)
		r = export_store(x, place, err);
	if (r == 0)
		(void)printf("profiles %" PRIu64 "\n", x->n_profiles);
	if (x->n_damaged)
		(void)fprintf(stderr,
			      "wick store: %" PRIu64
			      " pages cannot be read and are left out: wick store check says which\n",
			      x->n_damaged);
	profile_done(&x->merged);
	return r;
}

int store_export_run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		STORE_PLACE_OPTIONS,
		{ "query", required_argument, NULL, 'q' },
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "merge", no_argument, NULL, 'm' },
		{ "force", no_argument, NULL, 'F' },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct error err = { "" };
	struct exporting x = { .budget = membudget_of(EXPORT_MEMORY) };
	x.selector.from_ms = INT64_MIN;
	x.selector.to_ms = INT64_MAX;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'q')
			x.query = optarg;
		else if (o == 'f' || o == 't') {
			if (!parse_time(optarg, o == 'f' ? &x.selector.from_ms : &x.selector.to_ms))
				return command_usage_error(
					c, "%s: a time is expected, as 2026-01-31T12:00:00Z or in ms", optarg);
		} else if (o == 'm')
			x.merge = true;
		else if (o == 'F')
			x.force = true;
		else if (!store_place_take(&place, o, optarg))
			return command_usage_error(c, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return command_usage_error(c, "export wants one OUT");
	x.out = argv[optind];
	int r = export_and_tell(&x, &place, &err);
	selector_done(&x.selector);
	return r < 0 ? command_failed(c, r, &err) : 0;
}
