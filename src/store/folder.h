/* SPDX-License-Identifier: Apache-2.0 */
/* folder.h: a store's folder read from outside, while a server may be writing it.
 *
 *   DIR/blocks/manifest  ID.blk    never change; merged ones are removed, the manifest says what took their place
 *   DIR/wal/NUMBER-SALT.wal        only the last one grows; each goes once blocks hold its records
 *
 * Nothing is locked, created or changed. Whoever meets a file that has gone reads
 * the manifest again. */
#pragma once

#include "store/block_file.h"
#include "store/manifest.h"

#define FOLDER_MAX_ATTEMPTS 20 /* so often the manifest may have changed under us */

struct folder {
	const char *dir; /* borrowed */
	const struct keyring *keys;
	int blocks_fd, wal_fd;
	struct manifest manifest;   /* empty: there is none */
	bool makes_anew;	    /* the caller's: a manifest that is lost is made anew, in memory only */
	bool is_anew, is_seed_lost; /* it was; no block says the seed of its keys' hashes */
};

/* The folder a server has without --data: $STATE_DIRECTORY, /var/lib/wick, ~/.local/share/wick. */
#define FOLDER_PATH_SIZE 4096
int folder_default(char out[static FOLDER_PATH_SIZE], struct error *err) must_check;

/* -ENOENT: no store is there. `ret` wants folder_close() in any case. */
int folder_open_damaged(struct folder *ret, const char *dir, const struct keyring *keys, struct error *err) must_check;
/* The same, but -EBADMSG: the manifest is damaged. */
int folder_open(struct folder *ret, const char *dir, const struct keyring *keys, struct error *err) must_check;
void folder_close(struct folder *f);

/* Which blocks count now. */
int folder_read_manifest(struct folder *f, struct error *err) must_check;
bool folder_lists(const struct folder *f, const struct block_id *id);

struct segment_file {
	uint32_t number;
	uint64_t salt;
	char name[32];
};

/* The log's segments by number; *ret is malloc()ed. */
int folder_list_segments(const struct folder *f, struct segment_file **ret, uint32_t *ret_n,
			 struct error *err) must_check;
