/* SPDX-License-Identifier: Apache-2.0 */
/* debugstore.h: debug files on disk, one per build id.
 *
 *   DATA/debuginfo/ab12cd....debug     checked: an ELF file that says this build id
 *                  upload-7.tmp        on its way; gone after a crash
 *
 *   begin -> write, write ... -> commit: check, fsync, make room, rename, fsync the folder
 *                            '-> abort
 *
 * All files together take at most `limit`; beyond it those not used for longest
 * go. A file's time of change is when it was last used, to a minute. Uploads
 * under way take at most `limit` again. Where a file with debug information
 * comes for one that has symbols only, it takes its place; otherwise the first
 * one stays. Thread-safe. */
#pragma once

#include "object/elf.h"

#define DEBUGSTORE_MAX_FILES   16384
#define DEBUGSTORE_MAX_UPLOADS 4

struct debugstore;
struct debug_upload;

struct debugstore_options {
	const char *dir;       /* created; its parent exists */
	uint64_t limit;	       /* bytes of all files; 0: takes none */
	uint64_t file_max;     /* bytes of one */
	uint64_t disk_reserve; /* bytes of the disk left to others */
};

struct debug_file {
	char build_id[ELF_BUILD_ID_HEX];
	uint64_t size;
	int64_t used_ns; /* unix time */
	bool has_dwarf;	 /* or else symbols only */
};

struct debugstore_stats {
	uint64_t n_files, size, limit, file_max;
	uint64_t n_uploads; /* now */
	/* Since start: */
	uint64_t n_stored, n_refused, n_evicted;
};

/* Lists what is there, removes what a crash left behind; files that are not
 * what their name says are removed and counted as refused. */
int debugstore_open(const struct debugstore_options *o, struct debugstore **ret, struct error *err) must_check;
void debugstore_close(struct debugstore **s); /* for _cleanup_ */

/* Lower-case hex of 4 to 64 bytes. */
bool is_build_id(const char *text);

/* False: there is none. `ret` may be NULL. */
bool debugstore_find(struct debugstore *s, const char *build_id, struct debug_file *ret);
/* The caller's fd, or -ENOENT; counts as use. */
int debugstore_fd(struct debugstore *s, const char *build_id) must_check;
/* *ret is malloc()ed, by build id. -ENOMEM. */
int debugstore_list(struct debugstore *s, struct debug_file **ret, uint32_t *ret_n) must_check;
void debugstore_get_stats(struct debugstore *s, struct debugstore_stats *ret);
/* Grows with every file that comes; so that others need not look in vain. */
uint64_t debugstore_generation(struct debugstore *s);
/* Bytes of the disk that may be taken, beyond what is left to others. */
uint64_t debugstore_room(const struct debugstore *s);

/* `size`: bytes that will come, 0 = not known.
 * -EFBIG   more than file_max
 * -EBUSY   too many uploads, or bytes of them, under way
 * -ENOSPC  the disk is nearly full, or limit is 0
 * or what the file system says. */
int debug_upload_begin(struct debugstore *s, const char *build_id, uint64_t size, struct debug_upload **ret,
		       struct error *err) must_check;
/* False: it failed, and commit will say how. */
bool debug_upload_write(struct debug_upload *u, const void *data, size_t size);
/* Ends the upload, whatever comes of it. 0: *ret_stored false = one as good is there already.
 * -EBADMSG, -ENODATA, -EPROTONOSUPPORT, -E2BIG  no ELF file wick reads
 * -EINVAL   another build id, or nothing in it that names code
 * -EFBIG, -ENOSPC, -EIO ... of writing */
int debug_upload_commit(struct debug_upload *u, bool *ret_stored, struct error *err) must_check;
void debug_upload_abort(struct debug_upload *u);
