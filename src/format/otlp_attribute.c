/* SPDX-License-Identifier: Apache-2.0 */
/* An attribute is { key, value, unit }; its value may be a tree. Text and
 * whole numbers become labels of the same kind, everything else its text:
 *
 *   true   1.5   [a,b]   {key=a}   0aff (bytes)
 */
#include "format/otlp_decoder.h"
#include "format/otlp_names.h"

#include <inttypes.h>
#include <stdio.h>

#define NESTING_MAX 8

static int key_of(struct otlp_decoder *d, const struct pb_field *f, uint32_t direct, uint32_t indirect,
		  struct str_id *ret)
{
	if (f->number == indirect)
		return otlp_string(d, f, "key_strindex", ret);
	if (f->number != direct)
		return 0;
	int r = otlp_expect_wire(d, f, PB_BYTES, "key");
	return r < 0 ? r : otlp_intern(d, f->at, f->bytes, ret);
}

static int put_text(struct otlp_decoder *d, struct slice any, unsigned nesting);

static int put_pair(struct otlp_decoder *d, struct slice message, unsigned nesting)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	struct str_id key = { 0 };
	struct slice value = { 0 };
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		k = key_of(d, &f, KEY_VALUE_KEY, KEY_VALUE_KEY_STRINDEX, &key);
		if (k < 0)
			return k;
		if (f.number == KEY_VALUE_VALUE && f.wire == PB_BYTES)
			value = f.bytes;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	struct slice name = strtab_get(&d->p->dict.strings, key);
	buf_add(&d->text, name.data, name.size);
	buf_add_byte(&d->text, '=');
	return value.data ? put_text(d, value, nesting) : 0;
}

/* ArrayValue and KeyValueList have their elements in field 1. */
static int put_elements(struct otlp_decoder *d, struct slice message, bool pairs, unsigned nesting)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	bool first = true;
	int k;
	buf_add_byte(&d->text, pairs ? '{' : '[');
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != 1 || f.wire != PB_BYTES)
			continue;
		if (!first)
			buf_add_byte(&d->text, ',');
		first = false;
		k = pairs ? put_pair(d, f.bytes, nesting) : put_text(d, f.bytes, nesting);
		if (k < 0)
			return k;
	}
	buf_add_byte(&d->text, pairs ? '}' : ']');
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int put_field(struct otlp_decoder *d, const struct pb_field *f, unsigned nesting)
{
	struct str_id s;
	double number;
	int k = 0;
	switch (f->number) {
	case ANY_STRING:
		k = otlp_expect_wire(d, f, PB_BYTES, "string_value");
		if (k == 0)
			buf_add(&d->text, f->bytes.data, f->bytes.size);
		return k;
	case ANY_STRINDEX:
		k = otlp_string(d, f, "string_value_strindex", &s);
		if (k == 0) {
			struct slice text = strtab_get(&d->p->dict.strings, s);
			buf_add(&d->text, text.data, text.size);
		}
		return k;
	case ANY_BOOL:
		k = otlp_expect_wire(d, f, PB_VARINT, "bool_value");
		if (k == 0)
			buf_add_str(&d->text, f->value ? "true" : "false");
		return k;
	case ANY_INT:
		k = otlp_expect_wire(d, f, PB_VARINT, "int_value");
		if (k == 0)
			buf_printf(&d->text, "%" PRId64, (int64_t)f->value);
		return k;
	case ANY_DOUBLE:
		k = otlp_expect_wire(d, f, PB_64, "double_value");
		memcpy(&number, &f->value, sizeof(number));
		if (k == 0)
			buf_printf(&d->text, "%.15g", number);
		return k;
	case ANY_ARRAY:
	case ANY_KVLIST:
		k = otlp_expect_wire(d, f, PB_BYTES, "array_value");
		return k < 0 ? k : put_elements(d, f->bytes, f->number == ANY_KVLIST, nesting + 1);
	case ANY_BYTES:
		k = otlp_expect_wire(d, f, PB_BYTES, "bytes_value");
		for (size_t i = 0; k == 0 && i < f->bytes.size; i++)
			buf_printf(&d->text, "%02x", f->bytes.data[i]);
		return k;
	default:
		return 0;
	}
}

static int put_text(struct otlp_decoder *d, struct slice any, unsigned nesting)
{
	struct pb_reader r = pb_reader_nested(any);
	struct pb_field f;
	int k;
	if (nesting > NESTING_MAX)
		return otlp_fail_limit(d, any.data, "levels in one attribute", NESTING_MAX);
	while ((k = pb_next(&r, &f)) > 0) {
		k = put_field(d, &f, nesting);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

/* A single number stays one. */
static int read_value(struct otlp_decoder *d, struct slice any, struct label *l)
{
	struct pb_reader r = pb_reader_nested(any);
	struct pb_field f;
	int k = pb_next(&r, &f);
	l->is_num = 0;
	if (k > 0 && f.number == ANY_INT && f.wire == PB_VARINT && r.at == r.end) {
		l->is_num = 1;
		l->num = (int64_t)f.value;
		return 0;
	}
	d->text.n = 0;
	d->text.max = d->limits->input_size;
	k = put_text(d, any, 0);
	if (k < 0)
		return k;
	if (d->text.failed)
		return otlp_fail_memory(d, any.data, -ENOMEM);
	return otlp_intern(d, any.data, slice_of(d->text.data, d->text.n), &l->str);
}

static const struct {
	const char *key;
	enum otlp_role role;
	uint8_t arg;
} roles[] = {
	{ KEY_FRAME_TYPE, ROLE_FRAME_TYPE, 0 },	    { KEY_FRAME_FOUND, ROLE_FRAME_FOUND, 0 },
	{ KEY_IS_FOLDED, ROLE_IS_FOLDED, 1 },	    { KEY_BUILD_ID_GNU, ROLE_BUILD_ID, 3 },
	{ KEY_BUILD_ID_GO, ROLE_BUILD_ID, 2 },	    { KEY_BUILD_ID_HTL, ROLE_BUILD_ID, 1 },
	{ KEY_COMMENT, ROLE_COMMENT, 0 },	    { KEY_DOC_URL, ROLE_DOC_URL, 0 },
	{ KEY_DROP_FRAMES, ROLE_DROP_FRAMES, 0 },   { KEY_KEEP_FRAMES, ROLE_KEEP_FRAMES, 0 },
	{ KEY_DEFAULT_TYPE, ROLE_DEFAULT_TYPE, 0 },
};

static void find_role(struct otlp_decoder *d, struct otlp_attribute *a)
{
	struct slice key = strtab_get(&d->p->dict.strings, a->label.key);
	struct slice text = strtab_get(&d->p->dict.strings, a->label.str);
	for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
		if (slice_eq(key, slice_str(roles[i].key))) {
			a->role = (uint8_t)roles[i].role;
			a->arg = roles[i].arg;
		}
	for (uint8_t i = 0; i < ARRAY_SIZE(otlp_mapping_flag_keys); i++)
		if (slice_eq(key, slice_str(otlp_mapping_flag_keys[i]))) {
			a->role = ROLE_MAPPING_FLAG;
			a->arg = (uint8_t)(slice_eq(text, slice_str("true")) ? 1 << i : 0);
		}
	if (a->role == ROLE_FRAME_TYPE)
		a->arg = (uint8_t)otlp_kind_of_type(text);
	if (a->role == ROLE_FRAME_FOUND)
		a->arg = (uint8_t)frame_found_of_name(text);
	if (a->role == ROLE_IS_FOLDED)
		a->arg = slice_eq(text, slice_str("true"));
}

/* KeyValue, and KeyValueAndUnit which differs in its key. */
static int read_attribute(struct otlp_decoder *d, struct slice message, bool with_unit, struct otlp_attribute *a)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == ATTRIBUTE_VALUE) {
			k = otlp_expect_wire(d, &f, PB_BYTES, "value");
			if (k == 0)
				k = read_value(d, f.bytes, &a->label);
			a->value = f.bytes;
		} else if (!with_unit) {
			k = key_of(d, &f, KEY_VALUE_KEY, KEY_VALUE_KEY_STRINDEX, &a->label.key);
		} else if (f.number == ATTRIBUTE_UNIT) {
			k = otlp_string(d, &f, "unit_strindex", &a->label.unit);
		} else {
			k = key_of(d, &f, 0, ATTRIBUTE_KEY_STRINDEX, &a->label.key);
		}
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	if (a->label.is_num)
		a->label.str.v = 0;
	else
		a->label.num = 0, a->label.unit.v = 0;
	find_role(d, a);
	struct slice key = strtab_get(&d->p->dict.strings, a->label.key), label = otlp_label_of_key(key);
	return label.data == key.data ? 0 : otlp_intern(d, message.data, label, &a->label.key);
}

/* One whose strings are missing says nothing. */
static int read_or_lose(struct otlp_decoder *d, struct slice message, bool with_unit, struct otlp_attribute *a)
{
	uint64_t n_lost = d->lost.strings;
	int r = read_attribute(d, message, with_unit, a);
	if (d->lost.strings > n_lost)
		a->role = ROLE_LOST;
	d->lost.strings = n_lost;
	return r;
}

int otlp_take_attribute(struct otlp_decoder *d, const struct pb_field *f)
{
	struct otlp_attribute a = { 0 };
	int r = read_or_lose(d, f->bytes, d->layout != OTLP_1_7, &a);
	if (r < 0)
		return r;
	r = vec_reserve(d->p->budget, &d->attributes, 1);
	if (r < 0)
		return otlp_fail_memory(d, f->at, r);
	d->attributes.data[d->attributes.n++] = a;
	return 0;
}

/* v1.7 says once for all attributes of a key which unit they have. */
int otlp_take_unit(struct otlp_decoder *d, const struct pb_field *message)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	struct str_id key = { 0 }, unit = { 0 };
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == UNIT_1_7_KEY)
			k = otlp_string(d, &f, "attribute_key_strindex", &key);
		else if (f.number == UNIT_1_7_UNIT)
			k = otlp_string(d, &f, "unit_strindex", &unit);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	if (d->row >= OTLP_UNITS_MAX)
		return otlp_fail_limit(d, message->at, "units of attributes", OTLP_UNITS_MAX);
	for (uint32_t i = 0; key.v && i < d->attributes.n; i++)
		if (d->attributes.data[i].label.key.v == key.v && d->attributes.data[i].label.is_num)
			d->attributes.data[i].label.unit = unit;
	return 0;
}

int otlp_add_label(struct otlp_decoder *d, const uint8_t *at, const struct label *l, uint32_t n_outer,
		   struct otlp_labels *set)
{
	for (uint32_t i = 0; i < n_outer; i++)
		if (set->set[i].key.v == l->key.v) {
			set->set[i] = *l;
			return 0;
		}
	uint32_t limit = d->limits->n_labels < LABELS_MAX ? d->limits->n_labels : LABELS_MAX;
	if (set->n >= limit)
		return otlp_fail_limit(d, at, "labels", limit);
	set->set[set->n++] = *l;
	return 0;
}

int otlp_push_comment(struct otlp_decoder *d, const uint8_t *at, struct str_id text)
{
	if (d->p->comments.n >= d->limits->n_comments)
		return otlp_fail_limit(d, at, "comments", d->limits->n_comments);
	int r = vec_reserve(d->p->budget, &d->p->comments, 1);
	if (r < 0)
		return otlp_fail_memory(d, at, r);
	d->p->comments.data[d->p->comments.n++] = text;
	return 0;
}

/* An array of them, or one. */
static int add_comments(struct otlp_decoder *d, const uint8_t *at, const struct otlp_attribute *a)
{
	struct pb_reader r = pb_reader_nested(a->value);
	struct pb_field f;
	int k = pb_next(&r, &f);
	if (k <= 0 || f.number != ANY_ARRAY || f.wire != PB_BYTES)
		return otlp_push_comment(d, at, a->label.str);
	r = pb_reader_nested(f.bytes);
	while ((k = pb_next(&r, &f)) > 0) {
		struct label text = { 0 };
		if (f.number != 1 || f.wire != PB_BYTES)
			continue;
		k = read_value(d, f.bytes, &text);
		if (k == 0)
			k = otlp_push_comment(d, at, text.str);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

/* What the model holds once per profile is taken from the first one. */
static int add(struct otlp_decoder *d, const uint8_t *at, const struct otlp_attribute *a, uint32_t n_outer,
	       struct otlp_labels *set)
{
	struct profile *p = d->p;
	struct str_id *fact = NULL;
	switch ((enum otlp_role)a->role) {
	case ROLE_COMMENT:
		return d->n_profiles > 1 ? 0 : add_comments(d, at, a);
	case ROLE_DOC_URL:
		fact = &p->doc_url;
		break;
	case ROLE_DROP_FRAMES:
		fact = &p->drop_frames;
		break;
	case ROLE_KEEP_FRAMES:
		fact = &p->keep_frames;
		break;
	case ROLE_DEFAULT_TYPE:
		fact = &p->default_type;
		break;
	case ROLE_LOST:
		return 0;
	case ROLE_LABEL:
	case ROLE_FRAME_TYPE:
	case ROLE_FRAME_FOUND:
	case ROLE_IS_FOLDED:
	case ROLE_MAPPING_FLAG:
	case ROLE_BUILD_ID:
		return otlp_add_label(d, at, &a->label, n_outer, set);
	}
	if (d->n_profiles <= 1)
		*fact = a->label.str;
	return 0;
}

int otlp_add_key_value(struct otlp_decoder *d, const struct pb_field *f, uint32_t n_outer, struct otlp_labels *set)
{
	struct otlp_attribute a = { 0 };
	int r = otlp_expect_wire(d, f, PB_BYTES, "attributes");
	if (r == 0)
		r = read_or_lose(d, f->bytes, false, &a);
	d->lost.labels += a.role == ROLE_LOST;
	return r < 0 ? r : add(d, f->at, &a, n_outer, set);
}

int otlp_attribute_at(struct otlp_decoder *d, const uint8_t *at, uint64_t index, const struct otlp_attribute **ret)
{
	*ret = NULL;
	if (index >= d->attributes.n)
		return d->salvage ? 0 : otlp_fail_index(d, at, "attribute", index);
	if (d->attributes.data[index].role != ROLE_LOST)
		*ret = &d->attributes.data[index];
	return 0;
}

int otlp_add_attributes(struct otlp_decoder *d, const struct pb_field *f, uint32_t n_outer, struct otlp_labels *set)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	bool is_lost = false;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		const struct otlp_attribute *a;
		k = otlp_attribute_at(d, f->at, index, &a);
		if (k == 0 && a)
			k = add(d, f->at, a, n_outer, set);
		if (k < 0)
			return k;
		is_lost = is_lost || !a;
	}
	d->lost.labels += is_lost;
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}
