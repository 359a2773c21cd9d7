/* SPDX-License-Identifier: Apache-2.0 */
/* Every record is looked at once here, for its time only. perf merges the
 * buffers of all CPUs round by round; sorting all of it needs no trust in
 * FINISHED_ROUND marks, and a stable sort leaves what has no time where it
 * stood. */
#include "format/perfdata_reader.h"

#include "format/inflate.h"

#include <errno.h>
#include <inttypes.h>
#include <zstd.h>

#define STEP		((size_t)128 << 10)
#define ZSTD_WINDOW_LOG 24

const struct perf_attr *perfdata_sample_attr(const struct perfdata *d, struct perf_bytes body)
{
	const struct perf_attr *first = d->attrs.data;
	if (d->attrs.n == 1 || first->id_off == NO_FIELD)
		return first;
	if (perf_left(&body) < (size_t)first->id_off + 8)
		return NULL;
	return perfdata_attr_of_id(d, perf_u64_at(body.at + first->id_off, d->is_big));
}

const struct perf_attr *perfdata_trailer_attr(const struct perfdata *d, struct perf_bytes body)
{
	const struct perf_attr *first = d->attrs.data;
	if (d->attrs.n <= 1 || first->id_back == NO_FIELD || perf_left(&body) < first->id_back)
		return first;
	const struct perf_attr *a = perfdata_attr_of_id(d, perf_u64_at(body.end - first->id_back, d->is_big));
	/* What perf made up itself has id 0. */
	return a ? a : first;
}

static uint64_t record_time(const struct perfdata *d, const struct record_header *h, struct perf_bytes body)
{
	if (h->type == RECORD_SAMPLE) {
		const struct perf_attr *a = perfdata_sample_attr(d, body);
		if (a && a->time_off != NO_FIELD && perf_left(&body) >= (size_t)a->time_off + 8)
			return perf_u64_at(body.at + a->time_off, d->is_big);
		return d->last_time;
	}
	const struct perf_attr *a = perfdata_trailer_attr(d, body);
	if (a && a->time_back != NO_FIELD && perf_left(&body) >= a->time_back) {
		uint64_t time = perf_u64_at(body.end - a->time_back, d->is_big);
		return time == UINT64_MAX ? 0 : time;
	}
	return d->last_time;
}

static int add_ref(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where)
{
	if (d->attrs.n == 0)
		return error_set(d->err, -EBADMSG, WHERE_FMT ": a record of type %" PRIu32 " before any event",
				 WHERE_ARGS(where), h->type);
	if (h->type == RECORD_SAMPLE) {
		if (d->counts.samples >= d->limits->n_samples)
			return error_set(d->err, -E2BIG, WHERE_FMT ": more than %" PRIu32 " samples", WHERE_ARGS(where),
					 d->limits->n_samples);
		d->counts.samples++;
	}
	int r = vec_reserve(d->p->budget, &d->refs, 1);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	d->last_time = record_time(d, h, body);
	d->refs.data[d->refs.n++] = (struct record_ref){ d->last_time, where };
	return 0;
}

/* --- COMPRESSED --- */

static int zstd_failed(struct perfdata *d, size_t code, uint64_t where)
{
	return error_set(d->err, -EBADMSG, WHERE_FMT ": compressed records: %s", WHERE_ARGS(where),
			 ZSTD_getErrorName(code));
}

static int inflate_piece(struct perfdata *d, struct perf_bytes body, uint64_t where)
{
	ZSTD_inBuffer in = { body.at, perf_left(&body), 0 };
	if (!d->zstd) {
		d->zstd = ZSTD_createDCtx();
		if (!d->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
			return perfdata_fail_memory(d, -ENOMEM);
	}
	for (;;) {
		uint8_t *room = buf_room(&d->inflated, STEP);
		if (!room)
			return perfdata_fail_memory(d, -ENOMEM);
		ZSTD_outBuffer out = { room, STEP, 0 };
		size_t before = in.pos, r = ZSTD_decompressStream(d->zstd, &out, &in);
		d->inflated.n += out.pos;
		d->n_compressed += in.pos - before;
		if (ZSTD_isError(r))
			return zstd_failed(d, r, where);
		if (d->inflated.n > inflate_allowed(d->limits, d->n_compressed))
			return error_set(d->err, -E2BIG,
					 WHERE_FMT
					 ": %zu compressed bytes became more than %zu: the limits are %zu and "
					 "a ratio of %u",
					 WHERE_ARGS(where), d->n_compressed, d->inflated.n, d->limits->inflated_size,
					 d->limits->ratio);
		if (in.pos == in.size && out.pos < STEP)
			return 0;
	}
}

static int index_record(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where);

/* Indexes what is whole of what has been inflated; the rest waits for the next piece. */
static int index_inflated(struct perfdata *d)
{
	int r = 0;
	while (r == 0 && d->inflated.n - d->inflated_read >= RECORD_HEADER_SIZE) {
		const uint8_t *at = d->inflated.data + d->inflated_read;
		struct record_header h = record_header_at(at, d->is_big);
		uint64_t where = d->inflated_read | WHERE_INFLATED;
		if (h.size < RECORD_HEADER_SIZE || h.type == RECORD_COMPRESSED || h.type == RECORD_COMPRESSED2 ||
		    h.type == RECORD_AUXTRACE || h.type == RECORD_HEADER_TRACING_DATA)
			return error_set(d->err, -EBADMSG, WHERE_FMT ": a record of type %" PRIu32 " and %u bytes",
					 WHERE_ARGS(where), h.type, h.size);
		if (h.size > d->inflated.n - d->inflated_read)
			break;
		struct perf_bytes body = { at + RECORD_HEADER_SIZE, at + h.size, d->is_big, false };
		r = index_record(d, &h, body, where);
		d->inflated_read += h.size;
	}
	return r;
}

static int index_compressed(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where)
{
	if (h->type == RECORD_COMPRESSED2) {
		uint64_t size = perf_u64(&body);
		struct perf_bytes data = body;
		perf_skip(&body, size);
		if (body.failed)
			return error_set(d->err, -EBADMSG,
					 WHERE_FMT ": a compressed record holds %zu bytes, not %" PRIu64,
					 WHERE_ARGS(where), perf_left(&data), size);
		data.end = body.at;
		body = data;
	}
	int r = inflate_piece(d, body, where);
	return r < 0 ? r : index_inflated(d);
}

/* --- all records --- */

/* Bytes behind the record that belong to it. */
static uint64_t bytes_behind(struct perfdata *d, const struct record_header *h, struct perf_bytes body)
{
	uint64_t size = 0;
	if (h->type == RECORD_AUXTRACE)
		size = perf_u64(&body);
	else if (h->type == RECORD_HEADER_TRACING_DATA)
		size = ((uint64_t)perf_u32(&body) + 7) & ~UINT64_C(7);
	if (h->type == RECORD_AUXTRACE)
		d->counts.aux_bytes = size > UINT64_MAX - d->counts.aux_bytes ? UINT64_MAX : d->counts.aux_bytes + size;
	return size;
}

static int index_record(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where)
{
	if (h->type == RECORD_COMPRESSED || h->type == RECORD_COMPRESSED2)
		return index_compressed(d, h, body, where);
	switch (h->type) {
	case RECORD_MMAP:
	case RECORD_MMAP2:
	case RECORD_COMM:
	case RECORD_FORK:
	case RECORD_KSYMBOL:
	case RECORD_SAMPLE:
		return add_ref(d, h, body, where);
	case RECORD_LOST:
		perf_skip(&body, 8);
		d->counts.lost += perf_u64(&body);
		return 0;
	case RECORD_LOST_SAMPLES:
		d->counts.lost += perf_u64(&body);
		return 0;
	case RECORD_THROTTLE:
		d->counts.throttled++;
		return 0;
	default:
		d->counts.unknown_records += h->type > RECORD_LAST || h->type == 0;
		return perfdata_read_meta(d, h, body, where);
	}
}

/* The file ends within something. */
static int ends_early(struct perfdata *d, const char *within)
{
	if (!d->salvage)
		return error_set(d->err, -ENODATA, "ends in the middle of %s, at byte %zu", within, d->file.size);
	salvage_end(d->salvage, d->file.size, "%s", within);
	return 0;
}

static int index_data(struct perfdata *d)
{
	size_t at = 0, size = d->data.size;
	size_t base = (size_t)(d->data.data - d->file.data);
	while (at < size) {
		if (size - at < RECORD_HEADER_SIZE)
			return ends_early(d, "a record's header");
		struct record_header h = record_header_at(d->data.data + at, d->is_big);
		if (h.size < RECORD_HEADER_SIZE)
			return error_set(d->err, -EBADMSG,
					 "at byte %zu: size: a record of type %" PRIu32 " and %u bytes", base + at,
					 h.type, h.size);
		if (h.size > size - at)
			return d->is_cut || d->is_pipe
				       ? ends_early(d, h.type == RECORD_SAMPLE ? "a sample" : "a record")
				       : error_set(d->err, -EBADMSG,
						   "at byte %zu: size: a record of %u bytes, but %zu are left",
						   base + at, h.size, size - at);
		struct perf_bytes body = { d->data.data + at + RECORD_HEADER_SIZE, d->data.data + at + h.size,
					   d->is_big, false };
		int r = index_record(d, &h, body, base + at);
		if (r < 0)
			return r;
		at += h.size;
		uint64_t behind = bytes_behind(d, &h, body);
		if (behind > size - at)
			return ends_early(d, "trace data");
		at += (size_t)behind;
	}
	if (d->inflated_read < d->inflated.n)
		return ends_early(d, "a compressed record");
	return d->is_cut ? ends_early(d, "the recording") : 0;
}

/* --- order --- */

static void merge_runs(const struct record_ref *from, size_t n_left, size_t n, struct record_ref *to)
{
	size_t l = 0, r = n_left;
	for (size_t i = 0; i < n; i++)
		to[i] = l < n_left && (r == n || from[l].time <= from[r].time) ? from[l++] : from[r++];
}

/* Merges neighbours until one run is left. Most of a file is in order. */
static int sort_refs(struct perfdata *d)
{
	size_t n = d->refs.n, i = 1;
	while (i < n && d->refs.data[i - 1].time <= d->refs.data[i].time)
		i++;
	if (i >= n)
		return 0;
	VEC(struct record_ref) other = { 0 };
	int r = vec_reserve(d->p->budget, &other, (uint32_t)n);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	struct record_ref *from = d->refs.data, *to = other.data;
	for (size_t width = 1; width < n; width *= 2) {
		for (size_t at = 0; at < n; at += 2 * width) {
			size_t left = n - at < width ? n - at : width;
			size_t both = n - at < 2 * width ? n - at : 2 * width;
			merge_runs(from + at, left, both, to + at);
		}
		struct record_ref *t = from;
		from = to;
		to = t;
	}
	if (from != d->refs.data)
		memcpy(d->refs.data, from, n * sizeof(*from));
	vec_done(d->p->budget, &other);
	return 0;
}

int perfdata_index(struct perfdata *d)
{
	int r = index_data(d);
	return r < 0 ? r : sort_refs(d);
}
