/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: whole files in; outfile.h is for the way out. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Appends a file ("-" = stdin) to `out`. -E2BIG past out->max. */
int file_read(const char *path, struct buf *out, struct error *err) must_check;

/* write() until all is out: 0 or negative errno. */
int fd_write_all(int fd, const void *data, size_t size) must_check;
