/* SPDX-License-Identifier: Apache-2.0 */
/* store_stat.c: wick store stat: what lies in a data folder. */
#include "store/storestat.h"

#include "base/jsonw.h"
#include "cli/store_command.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#define DAY_MS INT64_C(86400000)

static const char *const resolution_names[N_RESOLUTIONS] = { "raw", "5m", "1h", "1d" };

/* "2026-01-31", or with the time of day. */
static void format_time(int64_t ms, bool with_time, char out[static 32])
{
	time_t t = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm tm;
	if (!gmtime_r(&t, &tm) || strftime(out, 32, with_time ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%d", &tm) == 0)
		(void)snprintf(out, 32, "?");
}

static void format_resolutions(unsigned set, char out[static 32])
{
	size_t n = 0;
	out[0] = 0;
	for (unsigned i = 0; i < N_RESOLUTIONS; i++)
		if (set & 1u << i)
			n += (size_t)snprintf(out + n, 32 - n, "%s%s", n ? "+" : "", resolution_names[i]);
}

/* A day, or several of one flush. */
static void format_span(const struct storestat_row *row, char out[static 32])
{
	format_time(row->starts_from_ms, false, out);
	if (row->starts_to_ms - row->starts_from_ms > DAY_MS)
		(void)strncat(out, "...", 31 - strlen(out));
}

static void print_rows(const struct storestat *s)
{
	(void)printf("%-13s %5s %-12s %7s %14s %10s %8s %10s  %s\n", "day", "level", "resolutions", "blocks", "bytes",
		     "profiles", "series", "nodes", "key");
	for (uint32_t i = 0; i < s->rows.n; i++) {
		const struct storestat_row *row = &s->rows.data[i];
		char day[32], resolutions[32];
		format_span(row, day);
		format_resolutions(row->resolutions, resolutions);
		if (row->is_unread)
			(void)printf("%-13s %5s %-12s %7" PRIu64 " %14" PRIu64 " %10s %8s %10s  %s\n", "unread", "", "",
				     row->n_blocks, row->bytes, "", "", "", row->key_id[0] ? row->key_id : "-");
		else
			(void)printf("%-13s %5" PRIu64 " %-12s %7" PRIu64 " %14" PRIu64 " %10" PRIu64 " %8" PRIu64
				     " %10" PRIu64 "  %s\n",
				     day, row->level, resolutions, row->n_blocks, row->bytes, row->n_profiles,
				     row->n_series, row->n_nodes, row->key_id[0] ? row->key_id : "-");
	}
}

static void print_keys(const struct storestat *s)
{
	for (uint32_t i = 0; i < s->n_keys; i++) {
		const struct storestat_key *k = &s->key[i];
		(void)printf("key %-32s blocks %" PRIu64 " segments %" PRIu64 " bytes %" PRIu64 "%s\n",
			     k->id[0] ? k->id : "- (not sealed)", k->n_blocks, k->n_segments, k->bytes,
			     k->is_writer ? " (seals what is written)" : "");
	}
}

static void print_text(const struct storestat *s)
{
	char oldest[32], newest[32];
	print_rows(s);
	print_keys(s);
	(void)printf("blocks %" PRIu64 " bytes %" PRIu64 " profiles %" PRIu64 "\n", s->n_blocks, s->block_bytes,
		     s->n_profiles);
	(void)printf("log segments %" PRIu64 " bytes %" PRIu64 "\n", s->n_segments, s->log_bytes);
	if (s->n_profiles) {
		format_time(s->oldest_ms, true, oldest);
		format_time(s->newest_ms, true, newest);
		(void)printf("from %s to %s\n", oldest, newest);
	}
}

static void write_row(struct jsonw *w, const struct storestat_row *row)
{
	jsonw_object(w, NULL);
	jsonw_cstr(w, "key", row->key_id);
	jsonw_bool(w, "unread", row->is_unread);
	if (!row->is_unread) {
		jsonw_i64(w, "starts_from_ms", row->starts_from_ms);
		jsonw_i64(w, "starts_to_ms", row->starts_to_ms);
		jsonw_u64(w, "level", row->level);
		jsonw_array(w, "resolutions");
		for (unsigned k = 0; k < N_RESOLUTIONS; k++)
			if (row->resolutions & 1u << k)
				jsonw_cstr(w, NULL, resolution_names[k]);
		jsonw_end(w, ']');
		jsonw_u64(w, "profiles", row->n_profiles);
		jsonw_u64(w, "series", row->n_series);
		jsonw_u64(w, "nodes", row->n_nodes);
	}
	jsonw_u64(w, "blocks", row->n_blocks);
	jsonw_u64(w, "bytes", row->bytes);
	jsonw_end(w, '}');
}

static void write_keys(struct jsonw *w, const struct storestat *s)
{
	jsonw_array(w, "keys");
	for (uint32_t i = 0; i < s->n_keys; i++) {
		const struct storestat_key *k = &s->key[i];
		jsonw_object(w, NULL);
		jsonw_cstr(w, "key", k->id);
		jsonw_bool(w, "seals", k->is_writer);
		jsonw_u64(w, "blocks", k->n_blocks);
		jsonw_u64(w, "segments", k->n_segments);
		jsonw_u64(w, "bytes", k->bytes);
		jsonw_end(w, '}');
	}
	jsonw_end(w, ']');
}

static int print_json(const struct storestat *s, struct error *err)
{
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)64 << 20);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_array(&w, "rows");
	for (uint32_t i = 0; i < s->rows.n; i++)
		write_row(&w, &s->rows.data[i]);
	jsonw_end(&w, ']');
	write_keys(&w, s);
	jsonw_u64(&w, "blocks", s->n_blocks);
	jsonw_u64(&w, "damaged", s->n_damaged);
	jsonw_u64(&w, "block_bytes", s->block_bytes);
	jsonw_u64(&w, "profiles", s->n_profiles);
	jsonw_u64(&w, "segments", s->n_segments);
	jsonw_u64(&w, "log_bytes", s->log_bytes);
	if (s->n_profiles) {
		jsonw_i64(&w, "oldest_ms", s->oldest_ms);
		jsonw_i64(&w, "newest_ms", s->newest_ms);
	}
	jsonw_end(&w, '}');
	if (out.failed)
		return error_set(err, -ENOMEM, "out of memory");
	(void)printf("%.*s\n", (int)out.n, (const char *)out.data);
	return 0;
}

static int take_and_print(const struct store_place *place, bool json, struct error *err)
{
	struct folder f;
	struct storestat s = { 0 };
	int r = folder_open(&f, place->data, place->keys, err);
	if (r == 0)
		r = storestat_take(&f, &s, err);
	if (r == 0 && json)
		r = print_json(&s, err);
	else if (r == 0)
		print_text(&s);
	if (r == 0 && s.n_damaged)
		(void)fprintf(stderr, "wick store: %" PRIu64 " blocks cannot be read: %s\n", s.n_damaged, s.first.text);
	storestat_done(&s);
	folder_close(&f);
	return r;
}

int store_stat_run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		STORE_PLACE_OPTIONS,
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct error err = { "" };
	bool json = false;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'j')
			json = true;
		else if (!store_place_take(&place, o, optarg))
			return command_usage_error(c, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (optind < argc)
		return command_usage_error(c, "unexpected argument %s", argv[optind]);
	int r = store_place_find(&place, &err);
	if (r == 0)
		r = take_and_print(&place, json, &err);
	return r < 0 ? command_failed(c, r, &err) : 0;
}
