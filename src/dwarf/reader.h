/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h: functions, inlined ones too, files and lines of addresses, by elfutils' libdw.
 *
 *   ranges of all units, sorted      [u1][u2]   [u1]  [u3
 *   sorted addresses                   a1  a2    a3
 *   unit by unit: its functions, in each the blocks and inlined calls that hold the address
 *
 *   a1 -> peek x.h:3  inlined into  parse x.h:12  inlined into  serve x.c:80
 *
 * A batch reads each unit it needs once; what libdw keeps of a unit is given
 * back when it takes too much. A name is the linker's (mangled) where the debug
 * information has it, else the one of the source. Lines are those of the
 * address for the innermost function and of the call for the others.
 *
 * libdw is not made for hostile input: whoever reads what strangers made does
 * so in a sandbox (sandbox.h, job.h). This file bounds what it bounds itself:
 * depth, memory of its own tables, work per address. */
#pragma once

#include "dwarf/answers.h"

struct dwarf_reader;

/* Reads the units of an ELF file with debug information. Compressed sections
 * are inflated; split units and supplementary files are looked up by the names
 * the file gives, when their time comes. The fd stays the caller's and must
 * outlive the reader.
 * -ENOENT  no debug information in it
 * -EBADMSG libdw cannot read it
 * -ENOBUFS `memory_max` is not enough for the tables */
int dwarf_open(int fd, size_t memory_max, struct dwarf_reader **ret, struct error *err) must_check;
void dwarf_free(struct dwarf_reader **r); /* for _cleanup_ */

/* Answers for `n` addresses as the ELF file counts them, in rising order; those
 * of which nothing is known are left out. Answers have no symbols, names are
 * as the file spells them, and they come in no particular order.
 * -ENOMEM, -ENOBUFS, or what the sink returned. */
int dwarf_lookup(struct dwarf_reader *r, const uint64_t *addrs, uint32_t n, struct dwarf_sink sink,
		 struct error *err) must_check;
