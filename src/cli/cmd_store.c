/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_store.c: looks at a store's folder from outside. */
#include "cli/store_command.h"
#include "store/folder.h"

#include <stdlib.h>
#include <string.h>

bool store_place_take(struct store_place *p, int option, const char *value)
{
	if (option == 'D')
		p->data = value;
	else if (option == 'K')
		p->keys_path = value;
	else
		return false;
	return true;
}

int store_place_find(struct store_place *p, struct error *err)
{
	const char *data = getenv("WICK_DATA"), *keys = getenv("WICK_ENCRYPTION_KEYS_FILE");
	int r = 0;
	if (!p->data && data && *data)
		p->data = data;
	if (!p->data) {
		r = folder_default(p->default_data, err);
		p->data = p->default_data;
	}
	if (!p->keys_path)
		p->keys_path = keys ? keys : "";
	return r == 0 ? keyring_load(p->keys_path, &p->keys, err) : r;
}

void store_place_done(struct store_place *p)
{
	keyring_free(&p->keys);
}

static int run_store(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct command *c, int argc, char **argv);
	} actions[] = {
		{ "stat", store_stat_run },
		{ "check", store_check_run },
		{ "export", store_export_run },
		{ "import", store_import_run },

	};
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(actions); i++)
		if (strcmp(argv[1], actions[i].name) == 0)
			return actions[i].run(&cmd_store, argc - 1, argv + 1);
	return command_usage_error(&cmd_store, "wants stat, check, export or import");
}

const struct command cmd_store = {
	.name = "store",
	.summary = "profiles on disk: what is there, is it whole; to files and back",
	.usage = "wick store stat [--data DIR] [--json]\n"
		 "wick store check [--data DIR] [--json]\n"
		 "wick store export [--data DIR] [--query SELECTOR] [--from TIME] [--to TIME] [--merge] [--force] OUT\n"
		 "wick store import [--data DIR] [--service NAME] FILE...\n"
		 "stat counts blocks by day, level, resolution and key, and the log. check reads everything and says "
		 "which "
		 "file is\n"
		 "damaged where; exit status 1 when something is. Both work while a server runs.\n"
		 "export writes a .pb.gz for each profile and type into the new folder OUT, or all of them as the file "
		 "OUT "
		 "with\n"
		 "--merge. import stores files of any format wick reads. Both want the folder to themselves: no server "
		 "on "
		 "it;\n"
		 "of a running one, export a backup.\n"
		 "  --data DIR              the data folder ($WICK_DATA, else the server's default)\n"
		 "  --encryption-keys FILE  the keys of what is sealed ($WICK_ENCRYPTION_KEYS_FILE)\n"
		 "  --query SELECTOR        as in 'cpu{service=\"api\"}' (docs/query.md); none: everything\n"
		 "  --from, --to TIME       2026-01-31, 2026-01-31T12:00:00Z, or ms of Unix time\n"
		 "  --service NAME          whose profiles these are, where they do not say so by a label\n",
	.run = run_store,
};
