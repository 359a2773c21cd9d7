/* SPDX-License-Identifier: Apache-2.0 */
/* job.h: one batch of addresses of one file, looked up by a process of its own.
 *
 *   addresses --memfd--> wick-dwarf (sandbox.h, libdw) --pipe--> answers.h --> sink
 *                 file --'
 *
 * libdw parses what users upload: a file may make it run for ever, take all
 * memory, crash it or take it over. A process can be limited, watched and
 * killed; what it says is checked. A process per batch keeps no state that a
 * file could leave behind for the next one. */
#pragma once

#include "dwarf/answers.h"

#define DWARF_MAX_BATCH (1u << 20) /* addresses */

struct dwarf_job {
	const char *program; /* path of wick-dwarf */
	int fd;		     /* the file; stays the caller's */
	const uint64_t *addrs;
	uint32_t n;	     /* rising; as the ELF file counts them */
	unsigned memory_mib; /* of the process */
	unsigned cpu_s;	     /* CPU time of the process */
	int64_t timeout_ms;  /* wall clock */
	bool may_open;	     /* files the file names: split debug information */
	/* Becomes true when nobody wants the answers any more; NULL: that does not happen. */
	const _Atomic bool *stop;
};

enum dwarf_end {
	DWARF_END_WHOLE,   /* every address was looked at */
	DWARF_END_TIME,	   /* CPU or wall clock time ran out, or it was stopped: answers up to there came */
	DWARF_END_PROBLEM, /* it says what is wrong with the file, or it died */
	DWARF_END_GARBLED, /* it did not say what it should: nothing of it is to be trusted */
};

struct dwarf_outcome {
	enum dwarf_end end;
	uint32_t n_answers;
	int64_t cpu_ns;
	struct error why; /* of any end but the whole one */
};

/* 0 when the process ran, whatever came of it: see `ret`. Negative errno: it
 * could not be started (-ENOENT: there is no such program), or what the sink
 * returned. Blocks until the process has ended, a fifth of a second after `stop`
 * at the latest. */
int dwarf_job_run(const struct dwarf_job *job, struct dwarf_sink sink, struct dwarf_outcome *ret,
		  struct error *err) must_check;
