/* SPDX-License-Identifier: Apache-2.0 */
/* gperf_reader.h: what the decoders of gperf.h share.
 *
 *   gperf.c             which one it is; addresses -> frames -> samples
 *   gperf_cpu.c         words
 *   gperf_text.c        heap, growth and count profiles; lines
 *   gperf_contention.c  contention and threads
 *   gperf_java.c        names behind the samples
 *
 * The mappings stand behind the samples, and which frame an address becomes
 * depends on them. So stacks are first collected as indices of addresses:
 *
 *   addresses  { value, frame }               in the order of first use
 *   stacks     index of address, leaf first   one sample behind the other
 *   samples    { first, n, value[] }          into stacks
 *
 * and gperf_finish() turns them into the columns of the profile. */
#pragma once

#include "format/gperf.h"
#include "format/memory_map.h"
#include "format/scan.h"

struct gperf_address {
	uint64_t value;
	uint32_t frame; /* of the dict; 0: known by its mapping only */
	uint32_t pad;
};

struct gperf_sample {
	uint64_t first;
	uint32_t n;
	uint32_t has_block_size;
	int64_t value[4];
	int64_t block_size;
};

struct gperf_reader {
	struct profile *p;
	const struct format_limits *limits;
	struct error *err;
	struct salvage *salvage; /* NULL: all must be there */
	struct slice bytes;
	size_t at;
	uint64_t line;	/* 0: not in text */
	bool is_cut;	/* the file ends within this line */
	bool has_words; /* samples are no lines */

	VEC(struct gperf_address) addresses;
	struct u64map address_ids; /* value -> index + 1 */
	VEC(uint32_t) stacks;
	VEC(struct gperf_sample) samples;
	struct memory_map map;
};

/* "line 3: <what>", or "<what>" outside of text; returns `code`. */
int gperf_fail(const struct gperf_reader *g, int code, const char *fmt, ...) printf_like(3, 4);
int gperf_fail_memory(const struct gperf_reader *g, int code);

/* The next line without its end and the blanks around it. False behind the
 * last one; when salvaging, half a line is no line. */
bool gperf_next_line(struct gperf_reader *g, struct slice *ret);
bool gperf_is_comment(struct slice line); /* or empty */

/* Index of an address, new or not. */
int gperf_address(struct gperf_reader *g, uint64_t value, uint32_t *ret) must_check;
/* Appends to the stack that gperf_add_sample() takes: all behind the last
 * sample's. */
int gperf_push(struct gperf_reader *g, uint64_t address) must_check;
int gperf_add_sample(struct gperf_reader *g, const int64_t *values, uint32_t n_values) must_check;
/* Pushes "0x1f 0x2e ..." up to the end of the line, each + `adjust`. */
int gperf_push_stack(struct gperf_reader *g, struct scan *s, int64_t adjust) must_check;

/* "--- Memory map: ---" or "MAPPED_LIBRARIES:" */
bool gperf_is_map_start(struct slice line);
/* The lines behind that, to the end of the file. */
int gperf_read_map(struct gperf_reader *g) must_check;
/* The same from `line` on, over sections that are none of ours. */
int gperf_skip_to_map(struct gperf_reader *g, struct slice line) must_check;

/* Drops the second frame of samples whose leaf is there twice: from the
 * signal's registers and, one less, from the stack. */
void gperf_drop_double_leaf(struct gperf_reader *g);

/* What the table of strings may grow to by those of the file, which are read
 * from here on; -E2BIG beyond. */
uint32_t gperf_max_strings(const struct gperf_reader *g);
int gperf_check_strings(const struct gperf_reader *g, uint32_t max) must_check;

int gperf_types(struct gperf_reader *g, const char *const (*types)[2], uint32_t n) must_check;
int gperf_period(struct gperf_reader *g, const char *type, const char *unit, int64_t period) must_check;

/* `count` and `size` as they were before sampling one in `rate` bytes. */
void gperf_unsample(int64_t rate, int64_t *count, int64_t *size);
/* Towards 0, at the ends of the range when beyond. */
int64_t gperf_to_i64(double v);

/* A number of the file that must fit into 63 bits. */
int gperf_number(const struct gperf_reader *g, struct scan *s, const char *what, int64_t *ret) must_check;

bool gperf_cpu_looks(struct slice bytes);
int gperf_cpu_decode(struct gperf_reader *g) must_check;
int gperf_heap_decode(struct gperf_reader *g) must_check;
int gperf_count_decode(struct gperf_reader *g) must_check;
int gperf_contention_decode(struct gperf_reader *g) must_check;
int gperf_thread_decode(struct gperf_reader *g) must_check;
int gperf_java_decode(struct gperf_reader *g) must_check;

/* The lines "0x1f name (file:line)" from `line` up to the end. */
int gperf_java_names(struct gperf_reader *g, struct slice line) must_check;
