/* SPDX-License-Identifier: Apache-2.0 */
/* memory_map.h: the text of a process's mappings, and which of them holds an
 * address.
 *
 *   00400000-00fcb000 r-xp 00000000 00:00 21306940  /bin/server     /proc/PID/maps
 *   7f5e53061000-7f5e53062000: /lib/libc.so (@1000) 0badc0de        brief, last two optional
 *   build=/usr/lib                                                  $build is that from now on
 *
 * Rows that cannot be executed are left out. memory_map_seal() puts right what
 * profilers get wrong, as google/pprof does:
 *
 *   - neighbours of one file become one row;
 *   - the first row that is neither a library nor in [brackets] is the program
 *     and comes first; 0x400000 is its start where its offset says so;
 *   - an address that lies within `offset` below a row belongs to it: the row
 *     begins there.
 *
 * The first row that holds an address is its row. Ranges are cut up at seal
 * time, so that a lookup is one binary search whatever the file says. */
#pragma once

#include "format/limits.h"
#include "model/dict.h"

struct map_layer { /* point[i] .. point[i + 1) belongs to row owner[i] - 1; 0 = to none */
	uint64_t *point;
	uint32_t *owner;
	uint32_t n;
};

#define MEMORY_MAP_VARIABLES 16

struct memory_map {
	struct dict *dict; /* paths and build ids are its strings */
	VEC(struct mapping) rows;
	bool *extended; /* by row: addresses before its start were seen */
	struct map_layer own, before;
	uint64_t n_skipped; /* lines that say nothing of a mapping */
	struct {
		struct slice name, value;
	} variable[MEMORY_MAP_VARIABLES];
	uint32_t n_variables;
};

void memory_map_init(struct memory_map *m, struct dict *dict);
void memory_map_done(struct memory_map *m);

/* `line` must live as long as the map. -E2BIG past limits->n_locations rows,
 * -ENOBUFS, -ENOMEM; a line that is no mapping is counted. */
int memory_map_line(struct memory_map *m, struct slice line, const struct format_limits *limits) must_check;

/* No line comes after this. */
int memory_map_seal(struct memory_map *m) must_check;

/* Index of the row that holds the address, or UINT32_MAX. */
uint32_t memory_map_find(struct memory_map *m, uint64_t address);

/* Adds all rows to the dict, in their order, after the last lookup; ret[i] is
 * row i, ret has rows.n entries. */
int memory_map_intern(struct memory_map *m, struct mapping_id *ret) must_check;
