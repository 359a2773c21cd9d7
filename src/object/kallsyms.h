/* SPDX-License-Identifier: Apache-2.0 */
/* kallsyms.h: names of kernel addresses without a resident table.
 *
 *   /proc/kallsyms --stream--> sorted runs --merge--> unlinked file
 *                                                     [ addr, name, module ] x n   16 bytes each, one per address
 *                                                     [ names ]
 *   look-up: binary search by pread
 *
 * The text of a kernel is 5-10 MB and its table would cost 4 MB of memory;
 * the file costs page cache that the kernel may drop. Building streams the
 * text once, in at most 600 KB of memory that is given back.
 *
 * Only code symbols (t, T, w, W) are kept; of several at one address the best
 * (global before local before weak, fewest leading underscores, "__pi_" last).
 * A symbol ends where the next begins, but at the latest on the page after its
 * start's when a gap or another module follows: code that kallsyms does not
 * know must not be blamed on the last symbol before it.
 *
 * Modules and BPF programs come and go: a look-up that meets an address of
 * the kernel's half outside every symbol makes the index stale, and
 * kallsyms_refresh_due() says, rate-limited, when reading it again is worth it. */
#pragma once

#include "base/error.h"
#include "object/symrange.h"

#include <stdbool.h>

#define KALLSYMS_MAX_SYMBOLS (2u << 20)
#define KALLSYMS_MAX_MODULES 4096

struct kallsyms;

struct kallsyms_stats {
	uint32_t n_symbols, n_modules;
	uint32_t n_refreshes;
	uint64_t n_bad_lines; /* not "ADDRESS TYPE NAME [MODULE]" */
	uint64_t file_size;   /* of the index */
	uint64_t n_misses;    /* addresses outside every symbol */
};

/* Indexes `path` (normally "/proc/kallsyms") into an unlinked file in
 * `temp_dir`; where that cannot hold one, or `temp_dir` is NULL, into a memfd.
 * -EACCES   every address is 0: kernel.kptr_restrict hides them (err says
 *           what to do)
 * -ENODATA  no code symbol in it
 * -E2BIG    over a maximum
 * or what open, read and write say. */
int kallsyms_open(const char *path, const char *temp_dir, struct kallsyms **ret, struct error *err) must_check;
void kallsyms_free(struct kallsyms **k); /* for _cleanup_ */

/* Answers for `n` addresses in rising order, as symrange.h says. */
int kallsyms_lookup(struct kallsyms *k, const uint64_t *addrs, uint32_t n, struct symrange_sink sink,
		    struct error *err) must_check;

/* True when look-ups missed since the last (re)build and enough time has
 * passed: 60 s, doubled up to an hour each time a refresh did not grow or
 * change the number of symbols. `now_ns` is clock_mono_ns(). */
bool kallsyms_refresh_due(const struct kallsyms *k, int64_t now_ns);

/* Reads the text again; on failure the old index stays. Where symbols
 * changed, kallsyms_generation() does too and ranges cached before are void:
 * it belongs into the object id under which a symcache keeps them. */
int kallsyms_refresh(struct kallsyms *k, int64_t now_ns, struct error *err) must_check;
uint32_t kallsyms_generation(const struct kallsyms *k);

struct kallsyms_stats kallsyms_stats(const struct kallsyms *k);
