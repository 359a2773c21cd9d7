/* SPDX-License-Identifier: Apache-2.0 */
/* parcel.h: an encoded profile on its way to the server.
 *
 *   data    OTLP request of one profile, one zstd frame
 *   key     the same however often it is sent, after a restart, too
 *   target  where a server that takes no OTLP takes it as pprof, with the
 *           labels, key and times that then stand in no header or resource */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

#define PARCEL_KEY_SIZE	  65 /* with its NUL */
#define PARCEL_TARGET_MAX 4096
#define PARCEL_DATA_MAX	  ((size_t)4 << 20)

struct parcel {
	struct parcel *next;
	char key[PARCEL_KEY_SIZE];
	char *target;
	uint8_t *data;
	size_t size;
	uint64_t n_samples;
	int64_t start_ms;
};

/* Takes over `data` (malloc()ed) when it succeeds. NULL: no memory, or the key
 * or target is too long. */
struct parcel *parcel_new(struct slice key, struct slice target, uint8_t *data, size_t size);
void parcel_free(struct parcel **p); /* for _cleanup_ */

/* Its data as gzip'd pprof, without times. -EBADMSG: it is none of ours. */
int parcel_to_pprof(const struct parcel *p, struct buf *out) must_check;
