/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup.h: scope-bound release and hand-over.
 *
 *   _cleanup_(buf_done) struct buf b = { 0 };   released on every way out
 *   return take_ptr(p);                         the caller owns it now
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)	       __attribute__((cleanup(f)))
#define must_check	       __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define take_ptr(p)                                                                                                    \
	({                                                                                                             \
		__typeof__(p) taken_ = (p);                                                                            \
		(p) = NULL;                                                                                            \
		taken_;                                                                                                \
	})

#define take_fd(fd)                                                                                                    \
	({                                                                                                             \
		int taken_ = (fd);                                                                                     \
		(fd) = -1;                                                                                             \
		taken_;                                                                                                \
	})

/* For variables of any pointer type: _cleanup_(free_ptr) char *s. */
static inline void free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void close_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void close_file(FILE **f)
{
	if (*f)
		(void)fclose(*f);
}
