/* SPDX-License-Identifier: Apache-2.0 */
/* namer.h: names for what is stored, from debug files, in the background.
 *
 *   frames of all parts --build id, address--> places --by build--> pending, until the file of that build is there
 *      batch of addresses -> wick-dwarf -> framelines -> every query from then on
 *
 * A place is an address in a build, wherever it is stored; its number stands
 * for it in model/framelines.h. Stored data is not touched: for a part that is
 * in memory, what is known of its frames stands in a column beside them
 * (part.lines), made when a query first needs it and again when more is known.
 *
 * One thread, one process beside it at a time. Without debug files queries do
 * what they always did. A batch is given CPU time and memory; a build whose addresses were looked up
 * waits ten times as long as that took before its next ones are, so that
 * naming costs a tenth of a CPU however large the files are. */
#pragma once

#include "base/error.h"
#include "model/framelines.h"
#include "object/elf.h"
#include "store/part.h"

struct server;
struct namer;

struct namer_stats {
	uint64_t n_frames;  /* of user binaries with a build id and no line of their own */
	uint64_t n_named;   /* of those, something was found */
	uint64_t n_pending; /* of those, their file is there and they wait for their turn */
	uint64_t cpu_ns;    /* of the jobs */
	/* Since start: */
	uint64_t n_answers, n_jobs, n_cut, n_failed;
	uint64_t memory_used, memory_limit;
	bool is_full; /* no more names fit into the memory for them */
};

/* A build id that profiles have and no debug file is there for. */
struct namer_build {
	char build_id[ELF_BUILD_ID_HEX];
	char path[256]; /* of the binary, as one profile had it */
	uint32_t n_frames;
};

int namer_start(struct server *s, struct namer **ret, struct error *err) must_check;
/* Its thread has ended; queries may still read. */
void namer_stop(struct namer *n);
void namer_free(struct namer **n); /* for _cleanup_ */

/* Profiles or files have come. From any thread, cheap. */
void namer_poke(struct namer *n);

/* The lines of the part's frames, which do not change until namer_read_end(), put
 * into `storage`. NULL: there are none, and nothing to end. The part is open. */
const struct framelines *namer_read_begin(struct namer *n, const struct part *p, struct framelines *storage);
void namer_read_end(struct namer *n, const struct framelines *lines);

/* Builds whose file is missing, by falling number of frames, at most `max`.
 * *ret is malloc()ed. -ENOMEM. */
int namer_list(struct namer *n, uint32_t max, struct namer_build **ret, uint32_t *ret_n) must_check;
void namer_get_stats(struct namer *n, struct namer_stats *ret);
