/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h: where unwind tables and the maps of processes lie in the kernel.
 *
 *   spaces[tgid] -> list of mappings    by rising address
 *   mapping      -> tables[slot]        one per binary, whoever runs it
 *   table        -> pages               a word per 64 KiB of the binary; 0 = no row there
 *   page         -> 16 heads            { rows before it | rows in it } per 4 KiB
 *                   rows { low, rule }  by rising pc, the first at low 0
 *   rules[rule]                         shared by all tables
 *
 * Lists, pages and rows are 32-bit words in segments of 1 MiB. A word's number
 * is segment << 18 | index; number 0 is nobody's and means "none". Nothing
 * crosses the end of a segment. What is published does not change any more,
 * and what was withdrawn is written over only when no program can still read
 * it (src/unwind/pool.h). */
#pragma once

#include <stdint.h>

#define POOL_SEGMENT_BITS  18
#define POOL_SEGMENT_WORDS (1u << POOL_SEGMENT_BITS)
#define POOL_MAX_SEGMENTS  256
#define POOL_MAX_RULES	   8192
#define POOL_MAX_TABLES	   4096
#define POOL_MAX_SPACES	   4160
#define POOL_MAX_MAPPINGS  8192 /* of one process; a power of two */

#define ROW_PAGE_BITS 16
#define ROW_HEAD_BITS 12
#define ROW_HEADS     (1u << (ROW_PAGE_BITS - ROW_HEAD_BITS))

struct pool_row {
	uint16_t low;  /* of the address */
	uint16_t rule; /* index into rules */
};

/* An executable mapping. */
struct pool_mapping {
	uint64_t start, end;
	uint64_t bias; /* the table's first page is of address `bias` */
	uint32_t slot;
	uint32_t pad;
};

/* Slots below TABLE_FIRST have no table. */
enum pool_slot {
	TABLE_PENDING, /* not known yet */
	TABLE_ABSENT,  /* a file without unwind information */
	TABLE_JIT,     /* no file */
	TABLE_FIRST,
};

struct pool_table {
	uint32_t pages;	  /* word of the first; 0: as TABLE_PENDING */
	uint32_t n_pages; /* of 64 KiB */
};

/* A process's mappings, good as long as its memory is the same (`image`, as in
 * record_sample). */
struct pool_space {
	uint32_t image;
	uint32_t list, n; /* word of the first struct pool_mapping, number of them */
	uint32_t generation;
	/* An address in no mapping is worth a look at the process, but not too often. */
	uint64_t asked_ns, patience_ns;
};
