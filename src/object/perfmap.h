/* SPDX-License-Identifier: Apache-2.0 */
/* perfmap.h: names of code that a runtime generated, from the text file it
 * writes for profilers (tools/perf/Documentation/jit-interface.txt in Linux):
 *
 *   7f2a4c001000 1a0 LazyCompile:~render /srv/app.js:12
 *   START (hex)  SIZE  name, which may hold spaces
 *
 * The file belongs to the process that is profiled, so it is hostile: it is
 * looked for inside that process's root and pid namespace, links leading out
 * of the root cannot be followed, only a regular file owned by the process's
 * user or root is read, and only its first PERFMAP_MAX_SIZE bytes. Runtimes
 * append and reuse addresses: the last line that covers an address names it.
 * A line without an end is still being written and is left alone. */
#pragma once

#include "base/error.h"
#include "object/symrange.h"

#include <sys/types.h>

#define PERFMAP_MAX_SIZE  ((uint64_t)64 << 20)
#define PERFMAP_MAX_BATCH 16384

struct perfmap_stats {
	uint64_t n_lines;
	uint64_t n_bad_lines;	 /* malformed: skipped */
	uint64_t n_bytes_unread; /* beyond PERFMAP_MAX_SIZE */
};

/* Opens the perf map of process `pid` (as this process counts pids).
 * *ret_size is the file's size: while it has not grown, addresses that had no
 * name still have none.
 * -ENOENT  it has none (the usual answer: no text is set)
 * -ESRCH   process gone
 * -EPERM   owned by somebody else, or not a regular file
 * or what open says. */
int perfmap_open(pid_t pid, int *ret_fd, uint64_t *ret_size, struct error *err) must_check;

/* Answers for `n` addresses of the process, in rising order, as symrange.h
 * says. `ret_stats` may be NULL. */
int perfmap_lookup(int fd, const uint64_t *addrs, uint32_t n, struct symrange_sink sink,
		   struct perfmap_stats *ret_stats, struct error *err) must_check;
