/* SPDX-License-Identifier: Apache-2.0 */
/* debuginfod.h: debug files from debuginfod servers (sourceware.org/elfutils/Debuginfod.html).
 *
 *   GET URL/buildid/BUILD-ID/debuginfo, of all URLs at once; the first that has it
 *
 * wick-debuginfod does one such look-up by elfutils' libdebuginfod, which brings
 * libcurl and all that it links, keeps some memory with every look-up, and is
 * told what to do by the environment: nothing that a server wants in itself. It
 * is built where that library is there. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct debuginfod {
	const char *program;	  /* path of wick-debuginfod */
	const char *urls;	  /* http:// or https://, parted by spaces */
	const char *folder;	  /* for what is on its way; its own */
	uint64_t file_max;	  /* bytes */
	const _Atomic bool *stop; /* becomes true when an answer is not waited for any more */
};

/* Before the first look-up. -ENOENT: there is no such program; -EINVAL: no such URLs. */
int debuginfod_check(const struct debuginfod *d, struct error *err) must_check;
/* Makes the folder, empty; its parent exists. */
int debuginfod_clear(const struct debuginfod *d, struct error *err) must_check;

/* The caller's fd of an unlinked file. One look-up at a time.
 * -ENOENT     no server has it
 * -EFBIG      it is larger than file_max
 * -ECANCELED  stopped
 * -EIO        what went wrong; asking again later may help */
int debuginfod_fetch(const struct debuginfod *d, const char *build_id, struct error *err) must_check;

/* Status of wick-debuginfod. */
enum { DEBUGINFOD_EXIT_FAILED = 1, DEBUGINFOD_EXIT_USAGE = 2, DEBUGINFOD_EXIT_NONE = 3, DEBUGINFOD_EXIT_LARGE = 4 };
