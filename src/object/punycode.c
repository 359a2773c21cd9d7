/* SPDX-License-Identifier: Apache-2.0 */
#include "object/punycode.h"

#include "base/utf8.h"

struct decoder {
	struct punycode *to;
	uint64_t i, code, bias;
	bool is_first;
};

static void adapt(struct decoder *d, uint64_t delta)
{
	uint64_t k = 0;
	delta = d->is_first ? delta / 700 : delta / 2;
	d->is_first = false;
	for (delta += delta / d->to->n; delta > 35 * 26 / 2; k += 36)
		delta /= 35;
	d->bias = k + 36 * delta / (delta + 38);
}

/* -1: none. */
static int digit_of(uint8_t c)
{
	return c >= 'a' && c <= 'z' ? c - 'a' : c >= '0' && c <= '9' ? c - '0' + 26 : -1;
}

/* One number of several digits; false: damaged. */
static bool read_delta(const struct decoder *d, struct slice *digits, uint64_t *ret)
{
	uint64_t delta = 0, weight = 1;
	for (uint64_t k = 36; digits->size && delta <= UINT32_MAX && weight <= UINT32_MAX; k += 36) {
		int digit = digit_of(*digits->data);
		uint64_t t = k <= d->bias ? 1 : k - d->bias < 26 ? k - d->bias : 26;
		*digits = slice_of(digits->data + 1, digits->size - 1);
		if (digit < 0)
			return false;
		delta += (uint64_t)digit * weight;
		if ((uint64_t)digit < t) {
			*ret = delta;
			return true;
		}
		weight *= 36 - t;
	}
	return false;
}

static bool insert(struct decoder *d, uint64_t delta)
{
	struct punycode *to = d->to;
	if (to->n == PUNYCODE_MAX)
		return false;
	d->i += delta;
	to->n++;
	d->code += d->i / to->n;
	d->i %= to->n;
	if (!utf8_is_character(d->code))
		return false;
	memmove(&to->text[d->i + 1], &to->text[d->i], (to->n - 1 - d->i) * sizeof(to->text[0]));
	to->text[d->i++] = (uint32_t)d->code;
	return true;
}

bool punycode_decode(struct slice ascii, struct slice digits, struct punycode *ret)
{
	struct decoder d = { .to = ret, .code = 128, .bias = 72, .is_first = true };
	if (ascii.size > PUNYCODE_MAX)
		return false;
	for (ret->n = 0; ret->n < ascii.size; ret->n++)
		ret->text[ret->n] = ascii.data[ret->n];
	while (digits.size) {
		uint64_t delta;
		if (!read_delta(&d, &digits, &delta) || !insert(&d, delta))
			return false;
		adapt(&d, delta);
	}
	return true;
}
