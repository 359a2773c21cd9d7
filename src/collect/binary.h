/* SPDX-License-Identifier: Apache-2.0 */
/* binary.h: the files that mappings are of, each looked at once.
 *
 *   (device, inode) -> binary { path, build id, executable segments }
 *                             fd: open from its first use in a window until
 *                             binary_table_end_window()
 *
 * A binary is opened while a process that runs it is alive, through
 * /proc/PID/map_files (so deleted files and files of containers work), else
 * through /proc/PID/root. Held open until names were looked up, it survives
 * the process; never longer than a window, so that no file system stays busy
 * because of us.
 *
 * A file that was written over in place is another binary: size and change
 * time tell. Bounded; unused ones are dropped. Not thread-safe. */
#pragma once

#include "collect/proc_text.h"
#include "object/elf.h"

struct binary {
	uint32_t refs;
	uint64_t serial; /* unique for the life of the program, shared with processes */
	uint64_t device, inode;
	int64_t size, changed_ns;
	int64_t used_ns;
	int fd;	   /* -1 = closed */
	pid_t pid; /* a process that mapped it, the last one asked for */
	bool is_elf;
	uint32_t tried_window; /* the last in which opening it was tried */
	char *path;	       /* as the process sees it, without " (deleted)" */
	char *build_id;	       /* lower-case hex, "" = none */
	uint64_t limit;	       /* end of the last executable segment */
	uint32_t n_loads;
	struct elf_load *loads; /* the executable ones */
	struct binary *next;
};

struct binary_table;

/* One mapping, as far as finding its file needs. */
struct mapped_file {
	uint64_t start, end; /* of the mapping */
	uint64_t device, inode;
};

struct binary_table *binary_table_new(uint32_t max, uint32_t max_open); /* NULL: no memory */
void binary_table_free(struct binary_table **t);			/* for _cleanup_ */

/* The binary of process `pid`'s mapping, opened if it is the first use in
 * this window, with a reference for the caller. NULL: no memory or table full. */
struct binary *binary_get(struct binary_table *t, pid_t pid, const struct mapped_file *m, int64_t now_ns);

/* The vDSO that all processes share; NULL where there is none. */
struct binary *binary_get_vdso(struct binary_table *t);

/* Before a further use in a later window: opens it again, or, when the file
 * is another one now, swaps *b for its successor. */
void binary_renew(struct binary_table *t, struct binary **b, pid_t pid, const struct mapped_file *m, int64_t now_ns);

struct binary *binary_ref(struct binary *b);
void binary_unref(struct binary *b);

/* Virtual address of a byte of the file as the ELF file counts; false when no
 * executable segment holds it. */
bool binary_vaddr(const struct binary *b, uint64_t file_off, uint64_t *ret);

/* Its file, which is opened by path where it was not; -1 when it cannot be.
 * Closed by binary_table_end_window() or with the binary. */
int binary_fd(struct binary *b);

/* The root folder of the processes that see the binary at its path: ours, if
 * that is it, or that of the last process it was met in; -1 when neither has
 * it there any more. The fd is the caller's. */
int binary_open_root(const struct binary *b) must_check;

/* Closes all files and drops binaries not used for ten minutes. */
void binary_table_end_window(struct binary_table *t, int64_t now_ns);

uint64_t serial_next(void);
