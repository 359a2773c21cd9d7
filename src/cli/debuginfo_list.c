/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/debuginfo_list.h"

#include "cli/terminal.h"
#include "format/jsonr.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define DEPTH 16

/* A file, or a build without one. */
struct row {
	char build_id[160], path[512];
	int64_t size, used_ms, frames;
	bool has_dwarf;
};

static int read_bool(struct jsonr *r, bool *ret)
{
	int type = jsonr_peek(r);
	if (type < 0)
		return type;
	*ret = type == JSONR_BOOL && *r->at == 't';
	return jsonr_skip(r);
}

static int read_text(struct jsonr *r, char *out, size_t size)
{
	struct slice s;
	int e = jsonr_str(r, &s);
	if (e == 0)
		(void)snprintf(out, size, "%.*s", SLICE_FMT(s));
	return e;
}

static int read_row(struct jsonr *r, struct row *ret)
{
	struct slice key;
	*ret = (struct row){ 0 };
	int e = jsonr_object(r), more = 0;
	while (e == 0 && (more = jsonr_key(r, &key)) == 1) {
		if (jsonr_is(key, "build_id"))
			e = read_text(r, ret->build_id, sizeof(ret->build_id));
		else if (jsonr_is(key, "path"))
			e = read_text(r, ret->path, sizeof(ret->path));
		else if (jsonr_is(key, "size"))
			e = jsonr_i64(r, &ret->size);
		else if (jsonr_is(key, "used_ms"))
			e = jsonr_i64(r, &ret->used_ms);
		else if (jsonr_is(key, "frames"))
			e = jsonr_i64(r, &ret->frames);
		else if (jsonr_is(key, "dwarf"))
			e = read_bool(r, &ret->has_dwarf);
		else
			e = jsonr_skip(r);
	}
	return e < 0 ? e : more;
}

int debuginfo_read_dwarf(struct slice json, bool *ret, struct error *err)
{
	struct jsonr r;
	struct row row;
	jsonr_init(&r, json, DEPTH, err);
	int e = read_row(&r, &row);
	jsonr_done(&r);
	*ret = row.has_dwarf;
	if (e < 0)
		error_prefix(err, "the server's answer");
	return e;
}

static void print_file(const struct row *row)
{
	char day[32] = "";
	time_t t = (time_t)(row->used_ms / 1000);
	struct tm tm;
	if (gmtime_r(&t, &tm))
		(void)strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	(void)printf("%12" PRId64 "  %-7s  %s  ", row->size, row->has_dwarf ? "dwarf" : "symbols", day);
	terminal_put_name(stdout, slice_str(row->build_id), 0);
	(void)putchar('\n');
}

static void print_missing(const struct row *row)
{
	(void)printf("%12" PRId64 "  ", row->frames);
	terminal_put_name(stdout, slice_str(row->build_id), 0);
	(void)fputs("  ", stdout);
	terminal_put_name(stdout, slice_str(row->path), 0);
	(void)putchar('\n');
}

static int print_rows(struct jsonr *r, const char *heading, void (*print)(const struct row *))
{
	struct row row;
	bool is_first = true;
	int e = jsonr_array(r), more = 0;
	while (e == 0 && (more = jsonr_next(r)) == 1) {
		e = read_row(r, &row);
		if (e < 0)
			break;
		if (is_first)
			(void)puts(heading);
		is_first = false;
		print(&row);
	}
	return e < 0 ? e : more;
}

int debuginfo_print_list(struct slice json, struct error *err)
{
	struct jsonr r;
	struct slice key;
	jsonr_init(&r, json, DEPTH, err);
	int e = jsonr_object(&r), more = 0;
	while (e == 0 && (more = jsonr_key(&r, &key)) == 1) {
		if (jsonr_is(key, "files"))
			e = print_rows(&r, "        size  what     used        build id", print_file);
		else if (jsonr_is(key, "missing"))
			e = print_rows(&r, "missing:\n      frames  build id, path", print_missing);
		else
			e = jsonr_skip(&r);
	}
	jsonr_done(&r);
	e = e < 0 ? e : more;
	if (e < 0)
		error_prefix(err, "the server's answer");
	return e;
}
