/* SPDX-License-Identifier: Apache-2.0 */
/* perfscript.h: the text that `perf script` prints.
 *
 *   java 24636/25607 [000] 4794.109216:  104345 cycles:
 *   	ffffffff8103ce3b native_safe_halt+0xb ([kernel.kallsyms])     leaf
 *   	    7f1e21c41e9a start_thread (/lib/libpthread-2.15.so)       root
 *
 *   header   one sample; labels pid, thread_id, thread_name, event
 *   frame    address, name without its offset, module as the mapping's path
 *   types    samples:count, then one per event: its period, 1 where none is
 *            printed; the default is the first event's
 *   # ...    comments, those before the first sample
 *   end      a last sample without perf's empty line behind it is labelled
 *            incomplete="end of file"
 *
 * Lost: cpu, the time of each sample (duration_ns keeps the span), offsets
 * within functions, what a tracepoint printed. */
#pragma once

#include "base/error.h"
#include "format/limits.h"
#include "model/profile.h"

/* Decodes plain text into `p`, empty as for pprof_decode(). Messages read
 * "line 3: ..."; -ENODATA when the file ends within a line. */
int perfscript_decode(struct slice text, const struct format_limits *limits, struct profile *p,
		      struct error *err) must_check;
