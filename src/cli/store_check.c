/* SPDX-License-Identifier: Apache-2.0 */
/* store_check.c: wick store check: whether what lies in a data folder is whole. */
#include "store/storecheck.h"

#include "cli/store_command.h"

#include <inttypes.h>

#define CHECK_MEMORY ((size_t)2 << 30)

static void print_damage(void *arg, const char *file, uint64_t off, const char *what)
{
	const char *dir = arg;
	(void)printf("%s/%s: at byte %" PRIu64 ": %s\n", dir, file, off, what);
}

static int check_and_print(const struct store_place *place, uint64_t *ret_damaged, struct error *err)
{
	struct folder f;
	struct storecheck c = {
		.folder = &f,
		.memory = CHECK_MEMORY,
		.damaged = print_damage,
		.arg = (void *)(uintptr_t)place->data,
	};
	int r = folder_open_damaged(&f, place->data, place->keys, err);
	if (r == 0)
		r = storecheck_run(&c, err);
	folder_close(&f);
	if (r < 0)
		return r;
	(void)printf("blocks %" PRIu64 " pages %" PRIu64 " rows %" PRIu64 " segments %" PRIu64 " records %" PRIu64
		     " damaged %" PRIu64 "\n",
		     c.n_blocks, c.n_pages, c.n_rows, c.n_segments, c.n_records, c.n_damaged);
	if (c.torn_bytes)
		(void)printf("%" PRIu64
			     " bytes behind the last record of the log: a write under way, or a torn one that "
			     "was never acknowledged\n",
			     c.torn_bytes);
	*ret_damaged = c.n_damaged;
	return 0;
}

int store_check_run(const struct command *c, int argc, char **argv)
{
	static const struct option options[] = {
		STORE_PLACE_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct error err = { "" };
	uint64_t n_damaged = 0;
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!store_place_take(&place, o, optarg))
			return command_usage_error(c, "unknown option or missing value: %s", argv[optind - 1]);
	if (optind < argc)
		return command_usage_error(c, "unexpected argument %s", argv[optind]);
	int r = store_place_find(&place, &err);
	if (r == 0)
		r = check_and_print(&place, &n_damaged, &err);
	if (r < 0)
		return command_failed(c, r, &err);
	return n_damaged ? 1 : 0;
}
