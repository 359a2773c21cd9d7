/* SPDX-License-Identifier: Apache-2.0 */
/* outfile.h: a file that is there whole or not at all.
 *
 *   outfile_open()     a file without a name beside `path`, where the file
 *                      system has such (O_TMPFILE), else `path`.tmp-PID
 *   outfile_put() ...  pieces
 *   outfile_commit()   on disk, then under its name
 *   outfile_done()     what was not committed is gone
 *
 * A reader sees all or nothing; a full disk leaves nothing behind, nor, with
 * a file that has no name yet, does SIGKILL. Standard output ("-" or
 * /dev/stdout), devices and pipes are written in place, piece by piece. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#include <limits.h>

struct outfile {
	const char *path; /* borrowed */
	int fd;
	bool force;	    /* may replace a file */
	bool is_in_place;   /* `path` itself is being written */
	bool has_temporary; /* `temporary` is there */
	char temporary[PATH_MAX];
};

/* "-", "/dev/stdout" and the other names of standard output. */
bool outfile_is_stdout(const char *path);

/* -EEXIST for a file that is there, unless `force`; to be said before a long
 * input is read. Devices and pipes are not replaced but written. */
int outfile_check(const char *path, bool force, struct error *err) must_check;

/* `o` needs outfile_done(), whatever is returned. */
int outfile_open(struct outfile *o, const char *path, bool force, struct error *err) must_check;
int outfile_put(struct outfile *o, struct slice piece, struct error *err) must_check;
int outfile_commit(struct outfile *o, struct error *err) must_check;
void outfile_done(struct outfile *o);

/* All of that at once. */
int outfile_write(const char *path, struct slice data, bool force, struct error *err) must_check;
