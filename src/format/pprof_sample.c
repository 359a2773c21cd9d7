/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pprof_decoder.h"

#include <inttypes.h>

static int push_value(struct pprof_decoder *d, const uint8_t *at, uint32_t *n, uint64_t value)
{
	if (*n == d->p->n_types)
		return pprof_fail(d, at, -EBADMSG, "more values than the %" PRIu32 " sample types", d->p->n_types);
	d->values[(*n)++] = (int64_t)value;
	return 0;
}

static int push_packed_values(struct pprof_decoder *d, struct slice values, uint32_t *n)
{
	struct pb_reader r = pb_reader_nested(values);
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t value = 0;
		int k = pb_varint(&r, &value);
		if (k < 0)
			return pprof_fail_reader(d, &r, k);
		k = push_value(d, at, n, value);
		if (k < 0)
			return k;
	}
	return 0;
}

/* A label without string is a number when the file writes one, be it 0. */
static int push_label(struct pprof_decoder *d, const struct pb_field *message, uint32_t *n)
{
	uint32_t limit = d->limits->n_labels < LABELS_MAX ? d->limits->n_labels : LABELS_MAX;
	if (*n == limit)
		return pprof_fail_limit(d, message->at, "labels", limit);
	struct label label = { 0 };
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	uint64_t num = 0, n_lost = d->lost.strings;
	bool has_num = false;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == LABEL_KEY) {
			k = pprof_string(d, &f, "label key", &label.key);
		} else if (f.number == LABEL_STR) {
			k = pprof_string(d, &f, "label str", &label.str);
		} else if (f.number == LABEL_NUM) {
			k = pprof_number(d, &f, "label num", &num);
			has_num = true;
		} else if (f.number == LABEL_NUM_UNIT) {
			k = pprof_string(d, &f, "label num_unit", &label.unit);
		}
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	if (d->lost.strings > n_lost) {
		d->lost.strings = n_lost;
		d->lost.labels++;
		return 0;
	}
	if (label.str.v) {
		label.unit.v = 0;
	} else {
		label.is_num = has_num || label.unit.v;
		label.num = (int64_t)num;
	}
	d->labels[(*n)++] = label;
	return 0;
}

static int read_sample_field(struct pprof_decoder *d, const struct pb_field *f, uint32_t *n_values, uint32_t *n_labels)
{
	int r;
	switch (f->number) {
	case SAMPLE_LOCATION_ID:
		if (f->wire == PB_BYTES)
			return pprof_push_locations(d, f->bytes);
		r = pprof_expect_wire(d, f, PB_VARINT, "location_id");
		return r < 0 ? r : pprof_push_location(d, f->at, f->value);
	case SAMPLE_VALUE:
		if (f->wire == PB_BYTES)
			return push_packed_values(d, f->bytes, n_values);
		r = pprof_expect_wire(d, f, PB_VARINT, "value");
		return r < 0 ? r : push_value(d, f->at, n_values, f->value);
	case SAMPLE_LABEL:
		r = pprof_expect_wire(d, f, PB_BYTES, "label");
		return r < 0 ? r : push_label(d, f, n_labels);
	default:
		return 0;
	}
}

int pprof_take_sample(struct pprof_decoder *d, const struct pb_field *message)
{
	uint32_t n_values = 0, n_labels = 0;
	uint64_t n_labels_lost = d->lost.labels;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	pprof_begin_stack(d);
	while ((k = pb_next(&r, &f)) > 0) {
		k = read_sample_field(d, &f, &n_values, &n_labels);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	if (n_values != d->p->n_types || n_values == 0)
		return pprof_fail(d, message->at, -EBADMSG, "%" PRIu32 " values for %" PRIu32 " sample types", n_values,
				  d->p->n_types);
	if (d->misses_location) {
		d->lost.samples++;
		d->lost.labels = n_labels_lost;
		return 0;
	}
	struct labels_id labels;
	k = profile_labels(d->p, d->labels, n_labels, &labels);
	if (k == 0)
		k = profile_add_sample(d->p, (struct node_id){ 0 }, labels, d->values);
	return k < 0 ? pprof_fail_memory(d, message->at, k) : pprof_end_stack(d, message->at);
}
