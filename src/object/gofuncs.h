/* SPDX-License-Identifier: Apache-2.0 */
/* gofuncs.h: the functions of a Go program, from its table (gopclntab.h).
 *
 *   functab, streamed      [f1          )[f2     )[f3   )
 *   sorted addresses            a1  a2                a3
 *   answers                [f1          )         [f3   )
 *
 * Between the start of the first function and the end of the last there are
 * no gaps: a function reaches to the start of the next, padding included.
 * Names are as Go writes them, "main.(*T).Method", "main.Sum[go.shape.int]".
 *
 * Nothing is kept of the table: it is read through a few small windows, so
 * memory follows neither it nor the batch. Nothing in it is trusted. */
#pragma once

#include "object/filewin.h"
#include "object/gopclntab.h"
#include "object/symrange.h"

#define GOFUNCS_MAX_BATCH 4096

/* What runtime.funcInfo.flag has; 0 until Go 1.16. */
#define GOFUNC_TOP_FRAME 1 /* nobody called it: goexit, mstart ... */
#define GOFUNC_SP_WRITE	 2 /* sp moves by more than pcsp can tell: it changes stacks */

struct gofunc {
	uint64_t start, end; /* ELF virtual addresses, start < end */
	uint32_t name;	     /* offset in the names */
	uint32_t pcsp;	     /* offset in pctab; 0 = none */
	uint8_t flags;
};

struct gofuncs {
	struct gopclntab table;
	struct filewin functab, records, names, pctab;
};

/* `t` is copied. 0 or -ENOMEM. */
int gofuncs_init(struct gofuncs *g, const struct gopclntab *t) must_check;
void gofuncs_done(struct gofuncs *g);

/* Function `i` of table.n_funcs. 0; -ENOENT: it has no code; -EBADMSG; from
 * pread. */
int gofuncs_at(struct gofuncs *g, uint32_t i, struct gofunc *ret) must_check;

/* Its name, cut at SYMBOL_NAME_MAX; empty when there is none. Valid until the
 * next call. */
struct slice gofuncs_name(struct gofuncs *g, const struct gofunc *f);

/* Takes a stretch of code in which sp lies `delta` bytes below where it was on
 * entry. Not 0 ends the walk with that value. */
struct gofunc_sink {
	int (*put)(void *arg, uint64_t start, uint64_t end, int32_t delta);
	void *arg;
};

/* Stretches in rising order without gaps from the function's start on; the
 * last may end before the function does. 0, -EBADMSG, from pread, or what the
 * sink returned. */
int gofuncs_stack(struct gofuncs *g, const struct gofunc *f, struct gofunc_sink sink) must_check;

/* Names for `n` ELF virtual addresses in rising order (repeats allowed), as
 * symrange.h says; what lies before and behind the functions is a nameless
 * range each. -E2BIG over the maximum, -EBADMSG, -ENOMEM, from pread, or what
 * the sink returned. */
int gofuncs_lookup(const struct gopclntab *t, const uint64_t *addrs, uint32_t n, struct symrange_sink sink,
		   struct error *err) must_check;
