/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h: what a process gives up before it parses what strangers made.
 *
 *   descriptors  all but those it was started with are closed, no new ones
 *   memory       anonymous memory and address space have an end
 *   time         CPU seconds have an end
 *   system calls those of reading, computing and answering only; any other
 *                fails with EPERM (seccomp, where the kernel has it)
 *
 * It cannot be undone and holds for all threads started later. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct sandbox {
	unsigned n_fds;	   /* descriptors [0, n_fds) stay */
	uint64_t memory;   /* bytes of anonymous memory */
	uint64_t file_map; /* bytes of files that are mapped beside it */
	uint64_t cpu_s;
	bool may_open; /* may open files for reading: split debug information has many */
};

/* A build with sanitizers has no limits of memory: they need terabytes of
 * address space. */
int sandbox_enter(const struct sandbox *s, struct error *err) must_check;
