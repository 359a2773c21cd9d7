/* SPDX-License-Identifier: Apache-2.0 */
/* store_command.h: the actions of `wick store`, one store_x.c each, and what they share with
 * `wick backup` and `wick restore`: the data folder and the keys to it. */
#pragma once

#include "base/keyring.h"
#include "cli/command.h"

#include <getopt.h>
#include <stdbool.h>

struct store_place {
	const char *data;	 /* NULL: a server's default */
	const char *keys_path;	 /* "": of the environment, if there */
	char default_data[4096]; /* FOLDER_PATH_SIZE */
	struct keyring *keys;	 /* NULL: none were given */
};

/* --data DIR, --encryption-keys FILE; for getopt_long(). */
#define STORE_PLACE_OPTIONS                                                                                            \
	{ "data", required_argument, NULL, 'D' },                                                                      \
	{                                                                                                              \
		"encryption-keys", required_argument, NULL, 'K'                                                        \
	}

/* True: the option was one of them. */
bool store_place_take(struct store_place *p, int option, const char *value);
/* Fills in what was not given, reads the keys. */
int store_place_find(struct store_place *p, struct error *err) must_check;
void store_place_done(struct store_place *p); /* for _cleanup_ */

/* argv[0] is the action's name. The exit status. */
int store_stat_run(const struct command *c, int argc, char **argv);
int store_check_run(const struct command *c, int argc, char **argv);
int store_export_run(const struct command *c, int argc, char **argv);
int store_import_run(const struct command *c, int argc, char **argv);
