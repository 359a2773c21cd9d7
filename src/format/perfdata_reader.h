/* SPDX-License-Identifier: Apache-2.0 */
/* perfdata_reader.h: what the parts of the perf.data decoder share.
 *
 *   perfdata_header.c   attributes, ids, event names, build ids, comments
 *   perfdata_index.c    every record once: { time, where }, sorted
 *   perfdata_sample.c   the fields of one sample
 *   perfdata_counter.c  what counters that are read with it have counted
 *   perfdata_process.c  who runs what: comm, fork, mmap in order of time
 *   perfdata_decode.c   samples into the profile
 */
#pragma once

#include "base/buf.h"
#include "format/perfdata.h"
#include "format/perfdata_map.h"
#include "format/perfdata_wire.h"

/* --- events --- */

#define NO_FIELD UINT32_MAX

struct perf_attr {
	uint32_t type;
	uint64_t config, sample_type, read_format, sample_period, branch_sample_type, flags;
	uint32_t n_regs_user, n_regs_intr;
	uint32_t id_off, time_off;   /* of a sample, behind the record's header; NO_FIELD */
	uint32_t id_back, time_back; /* of other records, before their end; NO_FIELD */
	uint32_t trailer_size;	     /* of other records */
	uint64_t first_id;	     /* 0: none */
	struct str_id name;	     /* 0 until it is known */
	uint32_t event;		     /* sample type of the profile, UINT32_MAX: none */
};

/* --- records in order of time --- */

struct record_ref {
	uint64_t time;
	uint64_t where; /* offset in the file, or in `inflated` with the top bit */
};
#define WHERE_INFLATED (UINT64_C(1) << 63)

/* --- processes --- */

/* What a range of addresses is. */
struct map_area {
	struct mapping_id mapping;
	struct func_id function; /* of a KSYMBOL */
	uint64_t bias;		 /* frame.address = address + bias */
	enum frame_kind kind;
};

struct perf_process {
	struct map_space space;
	/* Of the program before execve(), until the new one runs: the kernel may
	 * be sampled inside that call when the new maps are there already, with
	 * the old program's address as the caller. */
	struct map_space before;
};

struct perf_thread {
	struct str_id comm; /* 0: not known */
	uint32_t process;
	uint32_t labels_event; /* attr index + 1 of `labels` */
	struct labels_id labels;
};

struct perf_counts {
	uint64_t samples;	  /* met so far */
	uint64_t lost, throttled; /* as the kernel says */
	uint64_t unknown_records, unknown_ids, aux_bytes;
	uint64_t user_stacks; /* samples with bytes of the stack, for others to unwind */
};

/* The last value read of a counter. */
struct perf_counter {
	uint64_t id, value;
	uint32_t tid; /* of counters that threads inherit, else 0 */
};

/* A frame found before: by space and address. */
struct known_frame {
	uint64_t address;
	uint32_t version; /* of the space; 0 = empty */
	struct frame_id frame;
};
#define N_KNOWN_FRAMES (1u << 13)

struct perfdata {
	struct profile *p;
	const struct format_limits *limits;
	struct salvage *salvage;
	struct error *err;
	struct slice file;
	struct slice data; /* the records */
	uint32_t max_strings;
	bool is_big, is_pipe, is_cut;
	struct perf_counts counts;

	VEC(struct perf_attr) attrs;
	struct u64map attr_ids; /* id -> attr index + 1 */
	VEC(struct perf_counter) counters;
	struct u64map counter_ids; /* by hash of { id, tid } -> index + 1 */
	struct u64map build_ids;   /* path's string id -> build id's */

	struct buf inflated;	  /* what COMPRESSED records held */
	size_t n_compressed;	  /* their bytes */
	struct ZSTD_DCtx_s *zstd; /* NULL until the first */
	size_t inflated_read;
	VEC(struct record_ref) refs;
	uint64_t last_time;

	struct map_pool pool;
	VEC(struct map_area) areas;
	VEC(struct perf_process) processes; /* [0] is the kernel */
	VEC(struct perf_thread) threads;
	struct u64map process_ids; /* pid + 1 -> index */
	struct u64map thread_ids;  /* tid -> index + 1 */

	struct str_id pid_key, thread_id_key, thread_name_key, event_key;
	struct mapping_id kernel_mapping;
	VEC(uint32_t) stack; /* of the sample at hand, leaf first */
	struct known_frame *known;
	bool has_time;
	uint64_t first_ns, last_ns;
};

/* `where` as a person counts it, for messages. */
#define WHERE_FMT     "at byte %zu%s"
#define WHERE_ARGS(w) (size_t)((w) & ~WHERE_INFLATED), (w)&WHERE_INFLATED ? " of what was compressed" : ""

int perfdata_fail_memory(const struct perfdata *d, int code);
/* -E2BIG when what was read holds too many. */
int perfdata_check_strings(const struct perfdata *d) must_check;

/* perfdata_header.c */

/* Reads a file's head and features, or a pipe's magic. Sets d->data. */
int perfdata_read_header(struct perfdata *d) must_check;
/* A record of perf's own that says what a header or feature would. */
int perfdata_read_meta(struct perfdata *d, const struct record_header *h, struct perf_bytes body,
		       uint64_t where) must_check;
/* Gives each event without a name one, and the profile its types. */
int perfdata_add_types(struct perfdata *d) must_check;

/* perfdata_index.c */

/* Fills d->refs from d->data and sorts them. */
int perfdata_index(struct perfdata *d) must_check;
/* The attribute of a sample, NULL: its id is unknown. */
const struct perf_attr *perfdata_sample_attr(const struct perfdata *d, struct perf_bytes body);
/* The attribute that says how the end of a record that is no sample looks. */
const struct perf_attr *perfdata_trailer_attr(const struct perfdata *d, struct perf_bytes body);

/* perfdata_sample.c */

struct perf_sample {
	uint64_t ip, time, period;
	uint32_t pid, tid;
	const uint8_t *chain; /* n_chain u64, any alignment */
	uint64_t n_chain;
	bool has_user_stack;
	/* Values of counters, the sample's own event or the members of its group.
	 * Without ids they are not read: nobody knows whose they are. */
	const uint8_t *values;
	uint64_t n_values;
};

/* NULL, or the name of the field that does not fit. */
const char *perfdata_sample_parse(const struct perf_attr *attr, struct perf_bytes body, struct perf_sample *ret);

/* perfdata_counter.c */

struct perf_value {
	uint64_t id, value;
};

/* The i-th of a sample's values. */
struct perf_value perfdata_sample_value(const struct perf_attr *attr, const struct perf_sample *s, uint64_t i,
					bool is_big);
/* What a counter has counted since it was read last, at first since it began. */
int perfdata_counter_delta(struct perfdata *d, const struct perf_attr *attr, const struct perf_value *v, uint32_t tid,
			   uint64_t *ret) must_check;
/* The attribute of an id, NULL: it is unknown. */
const struct perf_attr *perfdata_attr_of_id(const struct perfdata *d, uint64_t id);

/* perfdata_process.c */

int perfdata_processes_init(struct perfdata *d) must_check;
/* MMAP, MMAP2, COMM, FORK, KSYMBOL; others are passed over. */
int perfdata_read_event(struct perfdata *d, const struct record_header *h, struct perf_bytes body,
			uint64_t where) must_check;
/* Index into d->threads, added if new. */
int perfdata_thread(struct perfdata *d, uint32_t pid, uint32_t tid, uint32_t *ret) must_check;
/* The frame of an address in a process (0: the kernel). */
int perfdata_frame(struct perfdata *d, uint32_t process, enum frame_kind kind, uint64_t address,
		   uint32_t *ret) must_check;
