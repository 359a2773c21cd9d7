/* SPDX-License-Identifier: Apache-2.0 */
/* store_check.c: wick store check: whether what lies in a data folder is whole. */
#include "store/storecheck.h"

#include "base/jsonw.h"
#include "cli/store_command.h"

#include <errno.h>
#include <inttypes.h>

#define CHECK_MEMORY ((size_t)2 << 30)
#define LISTED_MAX   10000 /* places in the object; more are counted */
#define JSON_MAX     ((size_t)64 << 20)

/* Where it goes: lines as they are found, or one object at the end. */
struct told {
	const char *dir;
	struct jsonw *json; /* NULL: lines */
	uint64_t n_listed;
};

static void tell_damage(void *arg, const char *file, uint64_t off, const char *what)
{
	struct told *t = arg;
	if (!t->json) {
		(void)printf("%s/%s: at byte %" PRIu64 ": %s\n", t->dir, file, off, what);
		return;
	}
	if (t->n_listed++ >= LISTED_MAX)
		return;
	jsonw_object(t->json, NULL);
	jsonw_cstr(t->json, "file", file);
	jsonw_u64(t->json, "offset", off);
	jsonw_cstr(t->json, "what", what);
	jsonw_end(t->json, '}');
}

static void print_sum(const struct storecheck *c)
{
	(void)printf("blocks %" PRIu64 " pages %" PRIu64 " rows %" PRIu64 " segments %" PRIu64 " records %" PRIu64
		     " damaged %" PRIu64 "\n",
		     c->n_blocks, c->n_pages, c->n_rows, c->n_segments, c->n_records, c->n_damaged);
	if (c->torn_bytes)
		(void)printf("%" PRIu64
			     " bytes behind the last record of the log: a write under way, or a torn one that "
			     "was never acknowledged\n",
			     c->torn_bytes);
}

static int print_object(const struct storecheck *c, struct jsonw *w, struct error *err)
{
	jsonw_end(w, ']');
	jsonw_u64(w, "damaged", c->n_damaged);
	jsonw_u64(w, "blocks", c->n_blocks);
	jsonw_u64(w, "pages", c->n_pages);
	jsonw_u64(w, "rows", c->n_rows);
	jsonw_u64(w, "segments", c->n_segments);
	jsonw_u64(w, "records", c->n_records);
	jsonw_u64(w, "torn_bytes", c->torn_bytes);
	jsonw_end(w, '}');
	if (w->out->failed)
		return error_set(err, -ENOMEM, "out of memory");
	(void)printf("%.*s\n", (int)w->out->n, (const char *)w->out->data);
	return 0;
}

static int check_and_print(const struct store_place *place, bool json, uint64_t *ret_damaged, struct error *err)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(JSON_MAX);
	struct jsonw w = { .out = &out };
	struct told told = { .dir = place->data, .json = json ? &w : NULL };
	struct folder f;
	struct storecheck c = { .folder = &f, .memory = CHECK_MEMORY, .damaged = tell_damage, .arg = &told };
	jsonw_object(&w, NULL);
	jsonw_array(&w, "places");
	int r = folder_open_damaged(&f, place->data, place->keys, err);
	if (r == 0)
		r = storecheck_run(&c, err);
	folder_close(&f);
	if (r == 0 && json)
		r = print_object(&c, &w, err);
	else if (r == 0)
		print_sum(&c);
	*ret_damaged = c.n_damaged;
	return r;
}

int store_check_run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		STORE_PLACE_OPTIONS,
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct error err = { "" };
	uint64_t n_damaged = 0;
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
		r = check_and_print(&place, json, &n_damaged, &err);
	if (r < 0)
		return command_failed(c, r, &err);
	return n_damaged ? 1 : 0;
}
