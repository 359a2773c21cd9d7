/* SPDX-License-Identifier: Apache-2.0 */
/* Releases moved fields without a version on the wire. What tells them apart
 * is the wire type of fields that every producer writes:
 *
 *   Profile 3 fixed, 5 message     not v1.7      Profile 3 packed, 5 varint,
 *   attribute key a number         not v1.7      6 message, text keys    v1.7
 *   Sample 2 varint                v1.7 (if nothing speaks against it)
 *   Sample 3 varint, 4 packed      v1.10
 *   Sample 3 packed, 4 varint      v1.8
 *
 * A sample of nothing but 1, 2 and 5 has either values (2) with their times,
 * or attributes (2) and times: as many of one as of the other, or indices
 * that do not exist, decide. Broken messages are left to the decoder, which
 * says what is wrong with them. */
#include "format/otlp_decoder.h"

struct evidence {
	bool found, not_1_7;
	enum otlp_layout layout;
	uint64_t n_attributes;
};

static void decide(struct evidence *e, enum otlp_layout layout)
{
	if (e->found)
		return;
	e->found = true;
	e->layout = layout;
}

static void look_at_dictionary(struct slice message, struct evidence *e)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f, inner;
	while (pb_next(&r, &f) > 0) {
		if (f.number != DICTIONARY_ATTRIBUTE || f.wire != PB_BYTES)
			continue;
		e->n_attributes++;
		struct pb_reader row = pb_reader_nested(f.bytes);
		if (e->found || e->not_1_7 || pb_next(&row, &inner) <= 0 || inner.number != KEY_VALUE_KEY)
			continue;
		if (inner.wire == PB_VARINT)
			e->not_1_7 = true;
		else
			decide(e, OTLP_1_7);
	}
}

static void look_at_sample(struct slice message, struct evidence *e)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	uint64_t n_second = 0, n_times = 0, most = 0, v = 0;
	while (!e->found && pb_next(&r, &f) > 0) {
		bool packed = f.wire == PB_BYTES;
		if (f.number == 2 && !packed && !e->not_1_7) {
			decide(e, OTLP_1_7);
		} else if (f.number == 3) {
			decide(e, packed ? OTLP_1_8 : OTLP_1_10);
		} else if (f.number == 4) {
			decide(e, packed ? OTLP_1_10 : OTLP_1_8);
		} else if (f.number == 2) {
			struct pb_reader numbers = otlp_repeated(&f);
			while (otlp_repeated_next(&numbers, &f, &v) > 0) {
				n_second++;
				most = v > most ? v : most;
			}
		} else if (f.number == 5) {
			n_times += packed ? f.bytes.size / 8 : 1;
		}
	}
	if (n_second && (most >= e->n_attributes || n_times == 0))
		decide(e, OTLP_1_8);
	else if (n_times != n_second)
		decide(e, OTLP_1_10);
}

static void look_at_profile(struct slice message, struct evidence *e)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	while (!e->found && !e->not_1_7 && pb_next(&r, &f) > 0) {
		if ((f.number == OTLP_PROFILE_TIME && f.wire == PB_64) ||
		    (f.number == OTLP_PROFILE_PERIOD_TYPE && f.wire == PB_BYTES))
			e->not_1_7 = true;
		else if ((f.number == PROFILE_1_7_LOCATION_INDICES) ||
			 (f.number == PROFILE_1_7_DURATION && f.wire == PB_VARINT) ||
			 (f.number == PROFILE_1_7_PERIOD_TYPE && f.wire == PB_BYTES))
			decide(e, OTLP_1_7);
	}
	r = pb_reader_nested(message);
	while (!e->found && pb_next(&r, &f) > 0)
		if (f.number == OTLP_PROFILE_SAMPLES && f.wire == PB_BYTES)
			look_at_sample(f.bytes, e);
}

static void look_inside(struct slice message, uint32_t number, void (*look)(struct slice, struct evidence *),
			struct evidence *e)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	while (!e->found && pb_next(&r, &f) > 0)
		if (f.number == number && f.wire == PB_BYTES)
			look(f.bytes, e);
}

static void look_at_scope(struct slice message, struct evidence *e)
{
	look_inside(message, SCOPE_PROFILES_PROFILES, look_at_profile, e);
}

static void look_at_resource(struct slice message, struct evidence *e)
{
	look_inside(message, RESOURCE_PROFILES_SCOPE_PROFILES, look_at_scope, e);
}

enum otlp_layout otlp_find_layout(struct slice request, struct slice dictionary)
{
	struct evidence e = { .layout = OTLP_1_10 };
	look_at_dictionary(dictionary, &e);
	look_inside(request, OTLP_RESOURCE_PROFILES, look_at_resource, &e);
	return e.layout;
}
