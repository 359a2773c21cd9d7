/* SPDX-License-Identifier: Apache-2.0 */
/* rebuild.h: a manifest that is lost, made anew from the blocks themselves.
 *
 *   ID.blk, ID.blk ...    all but those that another one says it replaces
 *   store                 a new id
 *   key_seed              as the newest block says it
 *   last_seq              the highest of the blocks'
 *   kept                  no block knows them: replay finds again what cannot be read (replay.c)
 *
 * No profile is in two of those listed: a block that was replaced has another name as soon as the
 * manifest without it is on disk (blockset.c). Under its old one it is there only after a crash between
 * the two, when what replaced it is there too, and names it. */
#pragma once

#include "store/manifest.h"

struct rebuild {
	struct manifest manifest;
	bool has_key_seed; /* else it is a new one, and keys that blocks hold are not known again */
};

/* Reads the blocks in `dir`, changes nothing. -EPROTONOSUPPORT, -ENOKEY, -EKEYREJECTED: one of them is whole, and
 * only we cannot read it. `ret` wants manifest_done() in any case. */
int rebuild_manifest(int dir, const struct keyring *keys, struct rebuild *ret, struct error *err) must_check;

/* Whether there is any block at all. */
bool rebuild_has_blocks(int dir);

/* The id of "<id>.blk"; false: another file. */
bool rebuild_parse_name(const char *name, struct block_id *ret);
/* What only we cannot read must not be left out: it is no damage. */
bool rebuild_is_whole(int result);
