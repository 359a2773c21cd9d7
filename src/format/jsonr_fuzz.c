/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is read as a whole can also be skipped, and ends at the same byte.
 * Nothing is read past the end: the input is a copy of exactly its size. */
#include "format/jsonr.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_value(struct jsonr *r);

static int read_members(struct jsonr *r)
{
	struct slice key;
	int k = jsonr_object(r);
	while (k == 0 && (k = jsonr_key(r, &key)) == 1)
		k = read_value(r);
	return k;
}

static int read_elements(struct jsonr *r)
{
	int k = jsonr_array(r);
	while (k == 0 && (k = jsonr_next(r)) == 1)
		k = read_value(r);
	return k;
}

static int read_number(struct jsonr *r)
{
	/* A reader is a place: a copy reads the same number in another way. */
	struct jsonr again = *r;
	uint32_t small;
	double value;
	int k = jsonr_u32(&again, &small);
	int e = jsonr_f64(r, &value);
	assert(k < 0 || (e == 0 && again.at == r->at && value == (double)small));
	return e;
}

static int read_value(struct jsonr *r)
{
	struct slice text;
	switch (jsonr_peek(r)) {
	case JSONR_OBJECT:
		return read_members(r);
	case JSONR_ARRAY:
		return read_elements(r);
	case JSONR_STRING:
		return jsonr_str(r, &text);
	case JSONR_NUMBER:
		return read_number(r);
	default:
		return jsonr_skip(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(size ? size : 1);
	assert(copy);
	memcpy(copy, data, size);
	struct error err = { "" };
	struct jsonr r, skipper;
	jsonr_init(&r, slice_of(copy, size), 64, &err);
	jsonr_init(&skipper, slice_of(copy, size), 64, NULL);
	int k = read_value(&r), skipped = jsonr_skip(&skipper);
	assert(k == 0 || err.text[0]);
	assert(k < 0 || (skipped == 0 && skipper.at == r.at));
	jsonr_done(&r);
	jsonr_done(&skipper);
	return 0;
}
