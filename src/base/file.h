/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: whole files in; outfile.h is for the way out. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends a file ("-" = stdin) to `out`. -E2BIG past out->max. */
int file_read(const char *path, struct buf *out, struct error *err) must_check;

/* An unlinked file to write and read, in `dir` if that can hold one; else, or
 * where `dir` is NULL, in memory, which is charged to us. The fd or negative
 * errno. */
int file_temp(const char *dir) must_check;

/* Opens `path` for reading as a process whose root is the folder `root` would:
 * neither ".." nor a link leads out of it. Only regular files: -EINVAL for
 * others, which are not touched. The fd or negative errno. */
int file_open_in_root(int root, const char *path) must_check;

/* write() until all is out: 0 or negative errno. */
int fd_write_all(int fd, const void *data, size_t size) must_check;
