/* SPDX-License-Identifier: Apache-2.0 */
/* perfscript_line.h: the lines of `perf script`, one at a time.
 *
 *   V8 Worker 24636/25607 [000] U 4794.109216:  104345 cycles:u:  text
 *   comm      pid  /tid   cpu   . time:         period event:     rest
 *
 *   	ffffffff8103ce3b native_safe_halt+0xb ([kernel.kallsyms])
 *      address          name            +off  module
 *
 * Which of a header's fields are there depends on `perf script -F`: a comm
 * and a number are, all else may be absent. A lone number is the thread's.
 * Nothing is copied: slices point into the line. */
#pragma once

#include "base/slice.h"

struct perf_header {
	struct slice comm, event, rest;
	uint32_t pid, tid;
	int64_t period; /* 0: not printed */
	uint64_t time_ns;
	bool has_pid, has_tid, has_time;
	bool is_record; /* "PERF_RECORD_MMAP2 ...": no sample */
};

/* False when the line is no header. */
bool perf_header_parse(struct slice line, struct perf_header *ret);

struct perf_frame {
	uint64_t address;
	struct slice name;   /* "" = [unknown] */
	struct slice module; /* "" = [unknown] or not printed */
	bool has_module;     /* the line ended in "(...)" */
	bool is_inlined;     /* "(inlined)": part of the next line's function */
};

/* False when the line is no frame. */
bool perf_frame_parse(struct slice line, struct perf_frame *ret);

/* "  file.c:137", what -F +srcline puts behind a frame; *ret_line = 0 for
 * "  libc.so.6[27b25]", which says nothing the frame has not said. */
bool perf_source_parse(struct slice line, struct slice *ret_file, uint32_t *ret_line);

/* The first sample of `text` is one of perf script's. */
bool perfscript_looks(struct slice text);
