/* SPDX-License-Identifier: Apache-2.0 */
/* proc_text.h: reads the text files of /proc/PID. What stands in them was
 * chosen by the process that is looked at: lengths are bounded, and what does
 * not parse is skipped. */
#pragma once

#include "base/buf.h"

#include <sys/types.h>

/* One line of /proc/PID/maps (proc(5)):
 *   7f0c1000-7f0c3000 r-xp 00001000 08:01 1234   /lib/x86_64-linux-gnu/libc.so.6 */
struct proc_map {
	uint64_t start, end, offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	bool executable;
	struct slice path; /* empty: anonymous */
};

#define PROC_MAPS_MAX_SIZE ((size_t)32 << 20)

/* False when the line is not one of a maps file. */
bool proc_map_parse(struct slice line, struct proc_map *ret);

/* Takes one mapping; the path is valid during the call. Negative ends the walk. */
struct proc_map_sink {
	int (*put)(void *arg, const struct proc_map *m);
	void *arg;
};

/* Walks the lines of a maps file in whatever pieces fd gives them. 0, what the
 * sink returned, -E2BIG past PROC_MAPS_MAX_SIZE, or -errno of read. */
int proc_maps_walk(int fd, struct proc_map_sink sink) must_check;

/* Appends /proc/PID/<name>, at most `max` bytes of it: more is left out
 * silently. 0, -ESRCH when the process is gone, or -errno; what was read is in
 * `out` either way. */
int proc_file_read(pid_t pid, const char *name, size_t max, struct buf *out);

#define PROC_STAT_START_TIME  22 /* with which a pid becomes an identity */
#define PROC_STAT_START_STACK 28 /* 0 where the process may not be looked into */

/* A number of /proc/PID/stat; fields count from 1, as in proc(5), and those
 * from 3 on can be had. The command name before them may hold anything,
 * parentheses and spaces too. False: malformed. */
bool proc_stat_field(struct slice stat, unsigned field, uint64_t *ret);

/* Value of NAME in the block of NAME=VALUE\0 that /proc/PID/environ is; false
 * when it is absent or empty. */
bool proc_environ_find(struct slice environment, const char *name, struct slice *ret);
