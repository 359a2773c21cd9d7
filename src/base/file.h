/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: whole files in, whole files out. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends a file ("-" = stdin) to `out`. -E2BIG past out->max. */
int file_read(const char *path, struct buf *out, struct error *err) must_check;

/* Writes to a temporary name beside `path`, fsyncs and renames, so that a
 * reader sees all or nothing and a full disk leaves nothing behind. "-" =
 * stdout. -EEXIST unless `force`. */
int file_write(const char *path, struct slice data, bool force, struct error *err) must_check;

/* write() until all is out: 0 or negative errno. */
int fd_write_all(int fd, const void *data, size_t size) must_check;
