/* SPDX-License-Identifier: Apache-2.0 */
/* pprof_decoder.h: what the parts of the pprof decoder share; see
 * pprof_decode.c for the order of things.
 *
 *   pprof_decode.c   the two walks, the header
 *   pprof_table.c    mappings, functions, locations
 *   pprof_sample.c   samples
 *   pprof_stack.c    their stacks
 *   pprof_salvage.c  what is said of half a file */
#pragma once

#include "format/idtable.h"
#include "format/limits.h"
#include "format/pprof_wire.h"
#include "format/protobuf.h"
#include "format/salvage.h"
#include "format/stackmemo.h"
#include "model/profile.h"
#include "model/stackwalk.h"

/* Flag of a location's code; the rest is an index into decoder.chains. */
#define PPROF_CHAIN (UINT32_C(1) << 31)

/* Where the rows of one kind stand, other kinds possibly between them. */
struct pprof_section {
	size_t first, end; /* offsets */
	uint32_t n;
};

/* What the memo knows of a stack, or learns once it has been walked. */
struct pprof_callers {
	uint32_t node, n_frames;   /* known: where to go on, and how deep that is */
	struct stackmemo_row *row; /* else, unless NULL: the row to fill */
	struct slice bytes;	   /*   with what these led to, */
	uint32_t n_up;		   /*   this many frames above the leaf (codes, while being read) */
};

/* What a salvaged file refers to but does not hold. */
struct pprof_lost {
	uint64_t samples, frames, labels, mappings, strings;
};

struct pprof_decoder {
	struct slice bytes;
	const struct format_limits *limits;
	struct profile *p;
	struct error *err;
	struct salvage *salvage; /* NULL: all must be there */

	struct pprof_section sections[N_PROFILE_FIELDS];
	VEC(struct str_id) strings; /* by index in the file */
	struct idtable mappings, functions, locations;
	struct mapping_id kind_mapping; /* the last one that was asked for: */
	uint8_t kind;			/* the kind of its frames, 0 = none was */
	VEC(uint32_t) chains;		/* n, then n frame ids, caller first */
	struct u64map long_chains;	/* node << 32 | code -> last node of the chain */

	/* Stacks of the last samples, whose rows wait for their nodes: stack i
	 * is frames[stack_from[i] .. stack_from[i + 1]), leaf first. Behind them
	 * the codes of the current sample's locations. */
	VEC(uint32_t) frames;
	uint32_t stack_from[STACKWALK_BATCH + 1];
	uint32_t n_stacks, first_waiting; /* first_waiting: the row of stack 0 */
	uint32_t stack_codes;		  /* the current stack's, or'ed */
	struct pprof_callers callers[STACKWALK_BATCH + 1];
	struct slice cut_run; /* the current stack's ids, when only the leaf's part was read */
	bool misses_location; /* the current stack does */
	struct stackmemo memo;

	int64_t values[PROFILE_MAX_TYPES];
	struct label labels[LABELS_MAX];

	uint64_t drop_frames, keep_frames, default_type, doc_url; /* string indices */
	struct slice period_type;

	const char *row_name; /* for messages: "sample" */
	uint64_t row;	      /* 1, 2, 3 ... */

	bool is_cut;	      /* the file ends within a field: */
	const char *cut_name; /* "sample", NULL: some other */
	uint64_t cut_row;
	struct pprof_lost lost;
};

/* "at byte 123: sample 12: <what>"; returns `code`. */
int pprof_fail(struct pprof_decoder *d, const uint8_t *at, int code, const char *fmt, ...) printf_like(4, 5);
int pprof_fail_memory(struct pprof_decoder *d, const uint8_t *at, int code);
int pprof_fail_reader(struct pprof_decoder *d, const struct pb_reader *r, int code);
int pprof_fail_limit(struct pprof_decoder *d, const uint8_t *at, const char *what, uint64_t limit);
/* "at byte 123: location 1: <what> 9 does not exist", or 0 and *lost one more when salvaging. */
int pprof_miss(struct pprof_decoder *d, const uint8_t *at, const char *what, uint64_t id, uint64_t *lost) must_check;

int pprof_fail_wire(struct pprof_decoder *d, const struct pb_field *f, enum pb_wire wire, const char *name);

/* Fields of known kind; the message names the field. */
static inline int must_check pprof_expect_wire(struct pprof_decoder *d, const struct pb_field *f, enum pb_wire wire,
					       const char *name)
{
	return f->wire == (uint32_t)wire ? 0 : pprof_fail_wire(d, f, wire, name);
}

static inline int must_check pprof_number(struct pprof_decoder *d, const struct pb_field *f, const char *name,
					  uint64_t *ret)
{
	int r = pprof_expect_wire(d, f, PB_VARINT, name);
	if (r == 0)
		*ret = f->value;
	return r;
}

int pprof_string_at(struct pprof_decoder *d, const uint8_t *at, const char *name, uint64_t index,
		    struct str_id *ret) must_check;
int pprof_string(struct pprof_decoder *d, const struct pb_field *f, const char *name, struct str_id *ret) must_check;

/* One row each, once everything it refers to has been taken. */
int pprof_take_mapping(struct pprof_decoder *d, const struct pb_field *message) must_check;
int pprof_take_function(struct pprof_decoder *d, const struct pb_field *message) must_check;
int pprof_take_location(struct pprof_decoder *d, const struct pb_field *message) must_check;
int pprof_take_sample(struct pprof_decoder *d, const struct pb_field *message) must_check;

/* Locations of the current sample, one by one or a packed run. */
void pprof_begin_stack(struct pprof_decoder *d);
int pprof_push_location(struct pprof_decoder *d, const uint8_t *at, uint64_t id) must_check;
int pprof_push_locations(struct pprof_decoder *d, struct slice ids) must_check;
/* They are complete; the profile's last row is their sample's and gets its
 * node now or with one of the next. */
int pprof_end_stack(struct pprof_decoder *d, const uint8_t *at) must_check;
int pprof_end_stacks(struct pprof_decoder *d) must_check;

/* With d->salvage only. The first walk ended within the field `f`. */
void pprof_note_cut(struct pprof_decoder *d, const struct pb_reader *r, const struct pb_field *f);
/* -ENODATA: nothing can be kept without its `missing`. */
int pprof_fail_salvage(struct pprof_decoder *d, const char *missing);
/* Behind the first walk: whether enough is there. */
int pprof_check_salvage(struct pprof_decoder *d) must_check;
/* Behind the last sample: says what is lost, if anything. */
int pprof_end_salvage(struct pprof_decoder *d) must_check;
