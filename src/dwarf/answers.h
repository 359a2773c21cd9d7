/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h: what wick-dwarf writes into its pipe, and the reader that trusts none of it.
 *
 *   "wdw1" | string 1 | string 2 | answer | string 3 | answer ... | end
 *
 *   string  u8 1, u8 0, u16 size, bytes      numbered from 1 as they come, each once; 0 = none
 *   answer  u8 2, u8 n, u16 0, u32 index     of the address that was asked for, each at most once
 *           u32 symbol, u32 the same mangled what the symbol table has there
 *           n x { u32 name, u32 the same mangled, u32 file, u32 line }    innermost first
 *   problem u8 4, u8 0, u16 size, bytes      why there is nothing more, for people
 *   end     u8 3, u8 0, u16 0, u32 answers   nothing follows
 *
 * All numbers are little-endian. A stream without its end was cut: its answers
 * are good, others are missing. The writer is a program that parses what
 * strangers upload and may have been taken over by it, so the reader checks
 * every number and bounds what the strings take together. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/strtab.h"

#define DWARF_MAX_DEPTH	  64   /* functions inlined into each other at one address */
#define DWARF_TEXT_MAX	  4096 /* bytes of a name or path */
#define ANSWER_RECORD_MAX (DWARF_TEXT_MAX + 4)
#define DWARF_EXIT_MEMORY 4 /* status of a writer that had too little */

/* A function that is at work at an address, and where in its source. */
struct dwarf_frame {
	struct slice name;    /* readable; empty: only the line is known */
	struct slice mangled; /* as the linker spells it; empty: the same */
	struct slice file;    /* empty: unknown */
	uint32_t line;	      /* 0: unknown */
};

/* frames[0] is what is executed; each is inlined into the one behind it. */
struct dwarf_answer {
	uint32_t index;		      /* of the address */
	struct slice symbol, mangled; /* of the symbol table; empty: none, the same */
	const struct dwarf_frame *frames;
	uint32_t n_frames;
};

/* Takes one answer; slices are valid during the call only. Negative ends the reading. */
struct dwarf_sink {
	int (*put)(void *arg, const struct dwarf_answer *answer);
	void *arg;
};

/* ---- writer ---- */

struct answer_writer {
	struct strtab strings; /* the id of a string is its number */
	uint32_t n_written;    /* strings written so far */
	uint32_t n_answers;
	struct buf out; /* for the caller to write and to empty */
};

/* Strings are charged to `budget`. -ENOMEM, -ENOBUFS. */
int answer_writer_init(struct answer_writer *w, struct membudget *budget) must_check;
void answer_writer_done(struct answer_writer *w);

/* Too long texts are cut; a NUL ends them. -ENOBUFS. */
int answer_write(struct answer_writer *w, const struct dwarf_answer *answer) must_check;
void answer_write_problem(struct answer_writer *w, const char *text);
void answer_write_end(struct answer_writer *w);

/* ---- reader ---- */

struct answer_reader {
	uint32_t n_asked;
	struct dwarf_sink sink;
	struct membudget budget;
	struct strtab strings;
	uint8_t *answered; /* one bit per address */
	uint32_t n_answers;
	uint8_t record[ANSWER_RECORD_MAX]; /* as far as it has come */
	uint32_t n_record;
	bool has_magic, has_end;
	int sink_result;   /* the sink's, if it ended the reading */
	char problem[256]; /* printable; "" = none was told */
};

/* Answers are about `n_asked` addresses and may take `memory_max` bytes
 * meanwhile. -ENOMEM, -ENOBUFS. Done by the caller only on success. */
int answer_reader_init(struct answer_reader *r, uint32_t n_asked, size_t memory_max, struct dwarf_sink sink) must_check;
void answer_reader_done(struct answer_reader *r);

/* -EBADMSG: this is no such stream, `err` says what is wrong; -ENOBUFS: too
 * many strings; or what the sink returned. The last call after a failure. */
int answer_reader_feed(struct answer_reader *r, struct slice bytes, struct error *err) must_check;
