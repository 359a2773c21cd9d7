/* SPDX-License-Identifier: Apache-2.0 */
#include "model/window_info.h"

#include "base/saturate.h"

#include <inttypes.h>
#include <string.h>

#define PREFIX "wick.window "

static const char *const names[N_LOSSES] = {
#define LOSS(name, missing, text) #name,
#include "model/loss.def"
#undef LOSS
};

static const char *const texts[N_LOSSES] = {
#define LOSS(name, missing, text) text,
#include "model/loss.def"
#undef LOSS
};

static const bool are_missing[N_LOSSES] = {
#define LOSS(name, missing, text) missing,
#include "model/loss.def"
#undef LOSS
};

const char *loss_name(enum loss l)
{
	return names[l];
}

const char *loss_text(enum loss l)
{
	return texts[l];
}

bool loss_is_missing(enum loss l)
{
	return are_missing[l];
}

void window_info_format(const struct window_info *w, struct buf *out)
{
	buf_printf(out, PREFIX "source=%s", w->source);
	if (w->unwind[0])
		buf_printf(out, " unwind=%s", w->unwind);
	buf_printf(out, " cpus=%" PRIu32 " rate_hz=%" PRIu32 " samples=%" PRIu64, w->n_cpus, w->rate_hz, w->n_samples);
	for (int i = 0; i < N_LOSSES; i++)
		if (w->lost[i])
			buf_printf(out, " %s=%" PRIu64, names[i], w->lost[i]);
}

static bool parse_u64(struct slice s, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.size == 0)
		return false;
	for (size_t i = 0; i < s.size; i++) {
		if (s.data[i] < '0' || s.data[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.data[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

static void keep_word(struct slice value, char *to, size_t size)
{
	size_t n = value.size < size - 1 ? value.size : size - 1;
	memcpy(to, value.data, n);
	to[n] = 0;
}

static void take_pair(struct window_info *w, struct slice key, struct slice value)
{
	if (slice_eq(key, slice_str("source"))) {
		keep_word(value, w->source, sizeof(w->source));
		return;
	}
	if (slice_eq(key, slice_str("unwind"))) {
		keep_word(value, w->unwind, sizeof(w->unwind));
		return;
	}
	uint64_t v;
	if (!parse_u64(value, &v))
		return;
	if (slice_eq(key, slice_str("cpus")))
		w->n_cpus = v > 65536 ? 0 : (uint32_t)v;
	else if (slice_eq(key, slice_str("rate_hz")))
		w->rate_hz = v > 1000000 ? 0 : (uint32_t)v;
	else if (slice_eq(key, slice_str("samples")))
		w->n_samples = v;
	for (int i = 0; i < N_LOSSES; i++)
		if (slice_eq(key, slice_str(names[i])))
			w->lost[i] = v;
}

bool window_info_parse(struct slice comment, struct window_info *ret)
{
	if (!slice_has_prefix(comment, PREFIX))
		return false;
	struct window_info w = { 0 };
	size_t i = strlen(PREFIX);
	while (i < comment.size) {
		size_t from = i, equals = 0;
		for (; i < comment.size && comment.data[i] != ' '; i++)
			if (comment.data[i] == '=' && !equals)
				equals = i;
		if (equals)
			take_pair(&w, slice_of(comment.data + from, equals - from),
				  slice_of(comment.data + equals + 1, i - equals - 1));
		i++;
	}
	*ret = w;
	return true;
}

void window_info_add(struct window_info *dst, const struct window_info *src)
{
	if (!dst->source[0])
		memcpy(dst->source, src->source, sizeof(dst->source));
	if (!dst->unwind[0])
		memcpy(dst->unwind, src->unwind, sizeof(dst->unwind));
	if (src->n_cpus > dst->n_cpus)
		dst->n_cpus = src->n_cpus;
	if (src->rate_hz > dst->rate_hz)
		dst->rate_hz = src->rate_hz;
	dst->n_samples = u64_add_saturating(dst->n_samples, src->n_samples);
	for (int i = 0; i < N_LOSSES; i++)
		dst->lost[i] = u64_add_saturating(dst->lost[i], src->lost[i]);
}
