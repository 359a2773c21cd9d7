/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_decoder.h: what the parts of the OTLP decoder share; see otlp_decode.c
 * for the order of things.
 *
 *   otlp_decode.c      the walk over the request, errors
 *   otlp_layout.c      which release wrote it
 *   otlp_dictionary.c  tables
 *   otlp_attribute.c   attributes -> labels
 *   otlp_stack.c       stacks -> nodes
 *   otlp_profile.c     profiles
 *   otlp_sample.c      samples -> rows
 *   otlp_salvage.c     half a request as a whole one */
#pragma once

#include "format/limits.h"
#include "format/otlp.h"
#include "format/otlp_wire.h"
#include "format/pathcache.h"
#include "format/protobuf.h"
#include "format/salvage.h"
#include "model/profile.h"
#include "model/stackwalk.h"

/* Flag of a location's code; the rest is an index into decoder.chains. */
#define OTLP_CHAIN (UINT32_C(1) << 31)
/* Each is a look at all attributes. */
#define OTLP_UNITS_MAX 256

enum otlp_layout { OTLP_1_7, OTLP_1_8, OTLP_1_10 };

/* Where the rows of one table stand, other tables possibly between them. */
struct otlp_section {
	size_t first, end; /* offsets */
	uint32_t n;
};

/* A set of labels, inner ones replacing outer ones of equal key. */
struct otlp_labels {
	struct label set[LABELS_MAX];
	uint32_t n;
};

/* Attributes that say something the model has a place for. */
enum otlp_role {
	ROLE_LABEL,
	ROLE_FRAME_TYPE,   /* arg: enum frame_kind */
	ROLE_FRAME_FOUND,  /* arg: enum frame_found */
	ROLE_IS_FOLDED,	   /* arg: whether */
	ROLE_MAPPING_FLAG, /* arg: enum mapping_flags */
	ROLE_BUILD_ID,	   /* arg: how good a one it is, 1 ... 3 */
	ROLE_COMMENT,
	ROLE_DOC_URL,
	ROLE_DROP_FRAMES,
	ROLE_KEEP_FRAMES,
	ROLE_DEFAULT_TYPE,
	ROLE_LOST, /* its strings are in the half that is not there */
};

struct otlp_attribute {
	struct label label;
	struct slice value; /* AnyValue */
	uint8_t role, arg;
};

struct otlp_link {
	struct str_id trace, span; /* hex, or none */
};

/* Where the samples of a profile stand, if in one place; most of its bytes. */
struct otlp_run {
	const uint8_t *first, *end;
};

/* What the samples of one profile share. */
struct otlp_header {
	struct otlp_run samples;
	uint32_t column[PROFILE_MAX_TYPES]; /* of the model, for each value type of the profile */
	uint32_t n_types;
	struct value_type period_type;
	uint64_t time_ns, duration_ns, period, default_type;
	struct otlp_labels labels; /* of resource, scope and profile */
	uint32_t n_outer;
};

/* What the labels of a sample come from. */
struct otlp_label_key {
	uint64_t scope; /* number of the profile << 32 | link */
	struct slice indices;
	uint64_t head[2]; /* the first 16 bytes of `indices` */
};

struct otlp_known_labels {
	struct otlp_label_key key;
	struct labels_id labels;
};

/* Of a stack; piece 0 is next to the root. See otlp_stack.c. */
struct otlp_piece {
	struct path_piece bytes;
	struct path_entry *place;
	const uint8_t *from;
	uint32_t n_frames; /* when it has been read */
};

#define OTLP_MAX_PIECES 16

/* A stack on its way to its node. */
struct otlp_stack {
	struct slice indices;
	struct otlp_piece pieces[OTLP_MAX_PIECES];
	uint32_t n_pieces, n_known;
	uint32_t node, depth;		/* where the known pieces end */
	uint32_t first_frame, n_frames; /* of the rest, in decoder.stack */
	bool is_long;			/* the rest has a long chain: not read */
};

/* A row of the profile without a time, and the next one of its node + 1, or 0. */
struct otlp_row {
	struct labels_id labels;
	uint32_t row, next;
};

/* Samples taken together. */
#define OTLP_BATCH 16

/* What half a file refers to but does not hold. */
struct otlp_lost {
	uint64_t samples, names, labels, mappings, strings;
};

struct otlp_decoder {
	struct slice bytes;
	const struct format_limits *limits;
	struct profile *p;
	struct error *err;
	struct salvage *salvage;      /* NULL: the request is whole */
	struct otlp_request *request; /* NULL: nobody asks */
	struct u64map range_ids;      /* by hash -> index of request->ranges + 1 */
	VEC(uint32_t) range_of;	      /* by profile */
	struct otlp_lost lost;
	enum otlp_layout layout;

	struct slice dictionary;
	struct otlp_section sections[N_DICTIONARY_FIELDS];
	VEC(struct str_id) strings;
	VEC(struct otlp_attribute) attributes;
	VEC(struct otlp_link) links;
	VEC(struct mapping_id) mappings;
	VEC(struct func_id) functions;
	VEC(uint32_t) locations; /* codes: a frame, or OTLP_CHAIN | index */
	VEC(uint32_t) chains;	 /* n, then n frame ids, caller first */
	VEC(struct node_id) stacks;
	struct otlp_stack waiting[STACKWALK_BATCH];
	uint32_t n_waiting;
	struct pathcache paths;	   /* of the stack table */
	struct u64map long_chains; /* node << 32 | code -> last node of the chain */
	VEC(uint32_t) stack;	   /* codes or frames, leaf first */

	VEC(uint32_t) location_indices; /* v1.7, of the current profile */
	struct u64map ranges;		/* v1.7: start << 32 | length -> node + 1 */
	uint64_t n_range_frames;

	VEC(struct otlp_run) samples; /* by profile */
	VEC(struct otlp_known_labels) known;
	struct u64map known_ids; /* by hash */
	VEC(uint32_t) first_row; /* by node; see otlp_sample.c */
	VEC(struct otlp_row) rows;
	struct u64map far_rows;	  /* node << 32 | labels -> index of `rows` + 1 */
	struct u64map timed_rows; /* by hash of node, labels and time -> row of the profile + 1 */

	uint32_t n_profiles, n_samples, n_timed;
	int64_t end_ns;
	struct buf text; /* of one attribute value */

	const char *row_name; /* for messages: "sample" */
	uint64_t row;	      /* tables count from 0, profiles and samples from 1 */
};

/* "at byte 123: sample 12: <what>"; returns `code`. */
int otlp_fail(struct otlp_decoder *d, const uint8_t *at, int code, const char *fmt, ...) printf_like(4, 5);
int otlp_fail_memory(struct otlp_decoder *d, const uint8_t *at, int code);
int otlp_fail_reader(struct otlp_decoder *d, const struct pb_reader *r, int code);
int otlp_fail_limit(struct otlp_decoder *d, const uint8_t *at, const char *what, uint64_t limit);
/* What does not exist; in half a file, what is missing: -ENODATA. */
int otlp_fail_index(struct otlp_decoder *d, const uint8_t *at, const char *what, uint64_t index);

/* Fields of known kind; the message names the field. */
int otlp_expect_wire(struct otlp_decoder *d, const struct pb_field *f, enum pb_wire wire, const char *name) must_check;
int otlp_number(struct otlp_decoder *d, const struct pb_field *f, const char *name, uint64_t *ret) must_check;
int otlp_string(struct otlp_decoder *d, const struct pb_field *f, const char *name, struct str_id *ret) must_check;
/* Bytes of the input, interned. */
int otlp_intern(struct otlp_decoder *d, const uint8_t *at, struct slice bytes, struct str_id *ret) must_check;
int otlp_value_type(struct otlp_decoder *d, const struct pb_field *message, struct value_type *ret) must_check;

/* The numbers of a repeated field, packed or a single one:
 *   struct pb_reader r = otlp_repeated(f);
 *   while ((k = otlp_repeated_next(&r, f, &v)) > 0) ... */
static inline struct pb_reader otlp_repeated(const struct pb_field *f)
{
	struct pb_reader one = { f->at, f->at + 1, -EBADMSG, NULL };
	return f->wire == PB_BYTES ? pb_reader_nested(f->bytes) : one;
}

static inline int otlp_repeated_next(struct pb_reader *r, const struct pb_field *f, uint64_t *ret)
{
	if (r->at == r->end)
		return 0;
	if (f->wire == PB_VARINT) {
		*ret = f->value;
		r->at = r->end;
		return 1;
	}
	if (f->wire != PB_BYTES)
		return pb_fail(r, -EBADMSG, "a repeated number of unknown wire type");
	int k = pb_varint(r, ret);
	return k < 0 ? k : 1;
}

enum otlp_layout otlp_find_layout(struct slice request, struct slice dictionary);

int otlp_read_dictionary(struct otlp_decoder *d) must_check;
/* A row of the stack table: the stack gets its node some rows later. */
int otlp_take_stack(struct otlp_decoder *d, const struct pb_field *message) must_check;
int otlp_end_stacks(struct otlp_decoder *d) must_check;
/* The node of `n` locations, leaf first. */
int otlp_walk_locations(struct otlp_decoder *d, const uint8_t *at, const uint32_t *indices, uint64_t n,
			struct node_id *ret) must_check;

/* KeyValue fields of a resource or scope, rows of the attribute table, and
 * fields that hold indices into it. Of `set`, the first n_outer labels come
 * from further outside. */
int otlp_add_key_value(struct otlp_decoder *d, const struct pb_field *f, uint32_t n_outer,
		       struct otlp_labels *set) must_check;
int otlp_take_attribute(struct otlp_decoder *d, const struct pb_field *f) must_check;
int otlp_take_unit(struct otlp_decoder *d, const struct pb_field *f) must_check;
int otlp_add_attributes(struct otlp_decoder *d, const struct pb_field *f, uint32_t n_outer,
			struct otlp_labels *set) must_check;
int otlp_add_label(struct otlp_decoder *d, const uint8_t *at, const struct label *l, uint32_t n_outer,
		   struct otlp_labels *set) must_check;
/* Of a mapping or location. *ret = NULL: it is lost with the other half. */
int otlp_attribute_at(struct otlp_decoder *d, const uint8_t *at, uint64_t index,
		      const struct otlp_attribute **ret) must_check;

int otlp_push_comment(struct otlp_decoder *d, const uint8_t *at, struct str_id text) must_check;

/* The value types of one profile are added to the model's; then its samples. */
int otlp_note_types(struct otlp_decoder *d, const struct pb_field *f) must_check;
int otlp_take_profile(struct otlp_decoder *d, const struct pb_field *f, const struct otlp_labels *outer) must_check;
/* The samples behind number d->row of the profile. */
int otlp_take_samples(struct otlp_decoder *d, const struct pb_field *messages, uint32_t n,
		      const struct otlp_header *h) must_check;

/* *ret = `bytes`, or in `out` a whole request of what is there of a half one, of
 * which `salvage` is told. -ENOMEM. */
int otlp_mend(struct slice bytes, struct salvage *salvage, struct buf *out, struct slice *ret) must_check;
void otlp_end_salvage(struct otlp_decoder *d);
/* Half a request, cut in its first profile. */
bool otlp_looks_half(struct slice bytes);
