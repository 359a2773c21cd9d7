/* SPDX-License-Identifier: Apache-2.0 */
/* gorows.h: unwind rules of Go code, from how far Go's own tables say that sp
 * has moved (object/gofuncs.h).
 *
 *   x86-64   CFA        return address, CFA - 8     arm64   CFA
 *            CFA - 16   caller's rbp <- rbp                 ...
 *            ...                                            CFA - delta      return address
 *            CFA - 8 - delta         <- rsp                 CFA - delta - 8  caller's x29 <- x29
 *
 *   before the prologue      delta 0                 CFA = sp + 8, sp on arm64
 *   in a frame               delta as the table says, fp as the code of the
 *                            prologue says: RULE_FP_LOST where that saves none
 *   functions that change    by fp, which still is that of the stack they
 *   stacks                   came from
 *   goexit, mstart, rt0_go   RULE_STOP: nobody called them
 *   sigreturn                RULE_SIGNAL
 *
 * Go marks functions that change stacks, since 1.17; before, and for a few
 * that the mark does not tell apart, names do. What each of them does to sp
 * and fp was read in the assembly of src/runtime/ of Go 1.15 to 1.26:
 *
 *   systemstack, asmcgocall    run on the thread's stack with fp untouched, so
 *                              that the walk goes back to the goroutine's;
 *                              until 1.20 they have no frame: RULE_UNSUPPORTED
 *   cgocallback                the other way round: C called, and fp leads to C
 *   nanotime1, time.now ...    call the vDSO on the thread's stack, fp untouched
 *   mcall, morestack           clear fp or leave it to others: the end
 *   gogo, clone                no frame at all: RULE_UNSUPPORTED
 *
 * With a running program gorows_test.c verifies that walks through all of
 * these but the last line reach their roots, by way of calls only: on x86-64,
 * with Go 1.26; with 1.15, 1.17, 1.19 and 1.22 that was tried by hand. arm64
 * is compared with .debug_frame; nothing ran there.
 *
 * Source: src/internal/abi/symtab.go, src/cmd/internal/obj/{x86,arm64}/ of Go. */
#pragma once

#include "object/gofuncs.h"
#include "unwind/cfi.h"

struct gorows {
	struct gofuncs funcs;
	struct filewin code;
	bool has_flags; /* functions that change stacks are marked */
};

enum gorows_kind {
	GOROWS_PLAIN,
	GOROWS_START,	 /* nobody called it */
	GOROWS_SWITCH,	 /* fp leads to the stack it came from */
	GOROWS_MCALL,	 /* the same before it pushes its argument; then nothing does */
	GOROWS_UNKNOWN,	 /* sp is changed, and no fp tells from what */
	GOROWS_SIGRETURN /* where signal handlers return to */
};

/* One function. */
struct gorows_func {
	uint64_t start, end; /* ELF virtual addresses */
	struct gofunc func;
	enum gorows_kind kind;
};

/* `e` must outlive it. -ENOENT: not a Go program; -ENOMEM, -EIO etc. from
 * pread. */
int gorows_init(struct gorows *g, const struct elf *e) must_check;
void gorows_done(struct gorows *g);

/* As cfi_next(), but that *i is the number of a function and only needs to be
 * below 2^30: function *i, and the number of the next one in *i. 1 and *ret: a
 * function; 0: one without rules; -ENODATA: there are no more; -EBADMSG; -EIO
 * etc. from pread. Starts rise.
 *
 * Where a signal handler returns to nothing was called from, and a walk looks
 * one byte before return addresses: that byte is taken from the function
 * before. */
int gorows_next(struct gorows *g, uint64_t *i, struct gorows_func *ret) must_check;

/* As cfi_rows(). The last row holds up to the function's end. */
int gorows_rows(struct gorows *g, const struct gorows_func *f, struct cfi_sink sink) must_check;
