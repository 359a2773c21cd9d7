/* SPDX-License-Identifier: Apache-2.0 */
/* kallsyms_build.h: from the text of /proc/kallsyms to a sorted file.
 *
 *   text --> names appended to the index file
 *        --> records, RUN_RECORDS at a time sorted in memory, written as runs
 *   runs --merge, one record per address--> behind the names
 *
 *   index file   [ names, one behind the other ][ pad ][ records by address ]
 *                0                                     records_off
 *
 * The kernel's own part of the text comes sorted, modules and BPF programs do
 * not: hence an external sort with memory that does not depend on how many
 * there are. Part of kallsyms.c; separate only because it is half of it. */
#pragma once

#include "base/error.h"
#include "base/strtab.h"

struct kallsyms_record {
	uint64_t addr;
	uint32_t name_off;
	uint32_t name_size : 13, /* <= SYMBOL_NAME_MAX */
		module : 13,	 /* string id in modules; 0 = the kernel */
		rank : 6;	 /* of the symbols at one address the least is kept */
};

struct kallsyms_index {
	int fd;
	uint32_t n;
	uint64_t records_off;
	uint64_t checksum; /* over addresses and name sizes: equal text, equal sum */
	uint64_t n_bad_lines;
	struct strtab modules;
};

struct kallsyms_index kallsyms_index_empty(void);
void kallsyms_index_done(struct kallsyms_index *x);

/* `ret` is an empty index, and stays one on failure. Errors as in kallsyms_open(). */
int kallsyms_build(const char *path, const char *temp_dir, struct kallsyms_index *ret, struct error *err) must_check;
