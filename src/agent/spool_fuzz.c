/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a file of the spool that an earlier run left: as they are, and with the hashes that
 * they ought to have. It is taken whole, or counted as torn; what was taken comes back as it was when
 * it is spooled again; nothing is left in the end. */
#include "agent/spool.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define BODY_HASH 40
#define HEAD_HASH 48
#define HEAD_SIZE 56

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/wick-spool-fuzz-XXXXXX";

static void remove_folder(void)
{
	char lock[sizeof(folder) + 8];
	(void)snprintf(lock, sizeof(lock), "%s/lock", folder);
	(void)unlink(lock);
	(void)rmdir(folder);
}

static void write_file(const uint8_t *data, size_t size)
{
	char path[sizeof(folder) + 40];
	(void)snprintf(path, sizeof(path), "%s/0001764300000000-0000002a.parcel", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0);
	ssize_t n = write(fd, data, size);
	assert(n == (ssize_t)size);
	(void)close(fd);
}

static void is_same(const struct parcel *a, const struct parcel *b)
{
	assert(strcmp(a->key, b->key) == 0 && strcmp(a->target, b->target) == 0);
	assert(a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
	assert(a->n_samples == b->n_samples && a->start_ms == b->start_ms);
}

static void spool_again(struct spool *s, const struct parcel *p)
{
	int r = spool_put(s, p, NULL);
	assert(r == 0);
	_cleanup_(parcel_free)
	struct parcel *again = spool_take(s);
	assert(again);
	is_same(p, again);
	spool_end(s, true);
}

static void look(const uint8_t *data, size_t size)
{
	_cleanup_(spool_free)
	struct spool *s = NULL;
	struct error err;
	write_file(data, size);
	int r = spool_open(folder, (uint64_t)16 << 20, &s, &err);
	assert(r == 0 && spool_stats(s).n_files == 1);
	_cleanup_(parcel_free)
	struct parcel *p = spool_take(s);
	assert(spool_stats(s).n_torn == (p == NULL) && spool_stats(s).n_dropped == 0);
	if (p) {
		assert(p->size <= PARCEL_DATA_MAX && strlen(p->key) < PARCEL_KEY_SIZE);
		assert(strlen(p->target) <= PARCEL_TARGET_MAX && HEAD_SIZE + p->size <= size);
		spool_end(s, true);
		spool_again(s, p);
	}
	assert(spool_stats(s).n_files == 0 && spool_stats(s).bytes == 0);
}

/* Magic, then hashes over all that the head says there is, as far as it is there. */
static void make_whole(uint8_t *bytes, size_t size)
{
	uint64_t n;
	uint32_t key, target;
	memcpy(bytes, "wickspl1", 8);
	memcpy(&n, bytes + 24, sizeof(n));
	memcpy(&key, bytes + 32, sizeof(key));
	memcpy(&target, bytes + 36, sizeof(target));
	n = le64toh(n);
	size_t body = size - HEAD_SIZE;
	if (n < body && (uint64_t)le32toh(key) + le32toh(target) < body - n)
		body = (size_t)n + le32toh(key) + le32toh(target);
	uint64_t hash = htole64(XXH3_64bits(bytes + HEAD_SIZE, body));
	memcpy(bytes + BODY_HASH, &hash, sizeof(hash));
	hash = htole64(XXH3_64bits(bytes, HEAD_HASH));
	memcpy(bytes + HEAD_HASH, &hash, sizeof(hash));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool has_folder;
	if (!has_folder) {
		has_folder = mkdtemp(folder) != NULL && atexit(remove_folder) == 0;
		assert(has_folder);
	}
	look(data, size);
	if (size < HEAD_SIZE)
		return 0;
	uint8_t *copy = malloc(size);
	assert(copy);
	memcpy(copy, data, size);
	make_whole(copy, size);
	look(copy, size);
	free(copy);
	return 0;
}
