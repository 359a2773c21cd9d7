/* SPDX-License-Identifier: Apache-2.0 */
/* symbols.h: names for a batch of addresses of a binary, from all it has.
 *
 *   whole: with a .symtab, in it or in        stripped: without
 *   its debug file (debugfile.h)
 *
 *   1. .symtab             symtab.h           1. Go's function table   gofuncs.h
 *   2. Go's function       gofuncs.h          2. .dynsym               symtab.h
 *      table                                     with .gnu_debugdata   minidebug.h
 *
 * Each source is asked for the addresses that those before it have no name
 * for, and its answers are cut to the nameless ranges these lie in: what a C
 * library exports does not cover the Go code between two of its symbols. So
 * the promise of symrange.h holds, but for the order: the ranges of one
 * source rise, and then those of the next. */
#pragma once

#include "object/debugfile.h"
#include "object/symrange.h"

#define SYMBOLS_MAX_BATCH 4096

/* What a look-up needs beside the binary. */
struct symbols_env {
	struct debugfile_place place; /* where the binary lies */
	const char *temp_dir;	      /* for what has to be decompressed, as minidebug.h has it */
};

/* Answers for `n` ELF virtual addresses in rising order (repeats allowed).
 * -ENOMEM, -E2BIG over the maximum, what the sink returned; or what is wrong
 * with a source: then names from others were put, and addresses without one
 * have no answer. */
int symbols_lookup(const struct elf *e, const struct symbols_env *env, const uint64_t *addrs, uint32_t n,
		   struct symrange_sink sink, struct error *err) must_check;
