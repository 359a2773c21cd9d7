/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of a few fields are what any bytes may begin with: "2023" is a string
 * table entry of 48 bytes. What is in the fields, one level deep, is not. */
#include "format/pprof.h"
#include "format/pprof_wire.h"
#include "format/protobuf.h"

#define LOOK_FIELDS  64 /* of the profile */
#define LOOK_MEMBERS 16 /* of each of its messages */

#define VARINT	  (1 << PB_VARINT)
#define BYTES	  (1 << PB_BYTES)
#define MAX_FIELD PB_MAPPING_HAS_INLINE_FRAMES

/* Wire types by field number; 0: there is no such field. */
struct shape {
	uint8_t wires[MAX_FIELD + 1];
	uint8_t extension; /* a varint far behind the others */
};

static const struct shape messages[N_PROFILE_FIELDS] = {
	[PROFILE_SAMPLE_TYPE] = { .wires = { 0, VARINT, VARINT } },
	[PROFILE_SAMPLE] = { .wires = { 0, VARINT | BYTES, VARINT | BYTES, BYTES } },
	[PROFILE_MAPPING] = { .wires = { 0, VARINT, VARINT, VARINT, VARINT, VARINT, VARINT, VARINT, VARINT, VARINT,
					 VARINT } },
	[PROFILE_LOCATION] = { .wires = { 0, VARINT, VARINT, VARINT, BYTES, VARINT },
			       .extension = LOCATION_WICK_FOUND },
	[PROFILE_FUNCTION] = { .wires = { 0, VARINT, VARINT, VARINT, VARINT, VARINT } },
	[PROFILE_PERIOD_TYPE] = { .wires = { 0, VARINT, VARINT } },
};

static bool member_fits(const struct pb_field *f, const struct shape *shape)
{
	if (f->number <= MAX_FIELD)
		return shape->wires[f->number] >> f->wire & 1;
	return f->number == shape->extension && f->wire == PB_VARINT;
}

static bool message_fits(struct slice message, const struct shape *shape)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	int k = 0;
	for (int i = 0; i < LOOK_MEMBERS && (k = pb_next(&r, &f)) > 0; i++)
		if (!member_fits(&f, shape))
			return false;
	return k >= 0;
}

static bool field_fits(const struct pb_field *f)
{
	switch (f->number) {
	case PROFILE_SAMPLE_TYPE:
	case PROFILE_SAMPLE:
	case PROFILE_MAPPING:
	case PROFILE_LOCATION:
	case PROFILE_FUNCTION:
	case PROFILE_PERIOD_TYPE:
		return f->wire == PB_BYTES && message_fits(f->bytes, &messages[f->number]);
	case PROFILE_STRING_TABLE:
		return f->wire == PB_BYTES;
	case PROFILE_COMMENT:
		return f->wire == PB_VARINT || f->wire == PB_BYTES;
	default:
		return f->number < N_PROFILE_FIELDS && f->wire == PB_VARINT;
	}
}

bool pprof_looks(struct slice bytes, uint32_t least)
{
	struct pb_reader r = pb_reader_of(bytes);
	struct pb_field f;
	uint32_t n = 0;
	int k = 0;
	for (int i = 0; i < LOOK_FIELDS && (k = pb_next(&r, &f)) > 0; i++) {
		if (!field_fits(&f))
			return false;
		n += f.wire == PB_BYTES;
	}
	return k != -EBADMSG && n >= least;
}
