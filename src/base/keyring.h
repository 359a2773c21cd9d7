/* SPDX-License-Identifier: Apache-2.0 */
/* keyring.h: the keys that data at rest is sealed with; docs/encryption.md is
 * the file's format and how keys are replaced.
 *
 *   # comment
 *   2026-b 8f1c...    the first key seals what is written
 *   2026-a 03d7...    all keys open what is read
 *
 * Keys lie in memory that is locked (where RLIMIT_MEMLOCK lets us), left out of
 * core dumps and wiped. No message holds any part of one. Threads may share a
 * keyring: its keys stay where they are, and new ones only join them. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define KEY_SIZE	  32
#define KEY_ID_MAX	  32
#define KEYRING_MAX	  64
#define KEYRING_TEXT_SIZE 16384 /* bytes of a key file */

struct master_key {
	char id[KEY_ID_MAX + 1];
	uint8_t bytes[KEY_SIZE];
};

struct keyring;

/* -EACCES: others than its owner may use the file; -EBADMSG: "KEYS: line 3:
 * ..."; -E2BIG: too large, too many keys; -ENOENT ... */
int keyring_read_file(const char *path, struct keyring **ret, struct error *err) must_check;

/* The same text in an environment variable, which is wiped and unset, so that
 * neither /proc nor children show it: call it before there are threads.
 * -ENOENT: it is not set. */
int keyring_read_environment(const char *name, struct keyring **ret, struct error *err) must_check;

/* The file `path`, or where that is "" the text in WICK_ENCRYPTION_KEYS; NULL: neither
 * is there. -EINVAL: both are. Before there are threads. */
#define KEYRING_VARIABLE "WICK_ENCRYPTION_KEYS"
int keyring_load(const char *path, struct keyring **ret, struct error *err) must_check;

/* The same text; the caller wipes it. */
int keyring_parse(struct slice text, struct keyring **ret, struct error *err) must_check;
void keyring_free(struct keyring **k); /* for _cleanup_ */

/* Reads the file again, while other threads use `k`: keys that are new in it join those that are there, and its first
 * seals from now on. One that it does not have any more stays, for what is open with it, until `k` goes. On failure
 * nothing changes: as keyring_read_file(), or -EBADMSG: an id has another key than before, or a key another id;
 * -E2BIG: too many with those of before. */
int keyring_reload(struct keyring *k, const char *path, struct error *err) must_check;

/* The key to write with. */
const struct master_key *keyring_writer(const struct keyring *k);

/* The i-th key, as they were read; NULL behind the last. */
const struct master_key *keyring_at(const struct keyring *k, uint32_t i);

/* -ENOKEY: no key has this id, the error names it. *ret lives as `k` does. */
int keyring_find(const struct keyring *k, struct slice id, const struct master_key **ret, struct error *err) must_check;
