/* SPDX-License-Identifier: Apache-2.0 */
#include "store/intake.h"

#include "format/detect.h"
#include "format/otlp.h"
#include "format/pprof.h"
#include "store/intake_otlp.h"

#include <errno.h>
#include <inttypes.h>

static const char *const label_names[N_SERIES_LABELS] = {
#define SERIES_LABEL(id, name) name,
#include "store/series_label.def"
#undef SERIES_LABEL
};

const char *series_label_name(enum series_label l)
{
	return label_names[l];
}

int intake_check(const struct intake *in, struct error *err)
{
	if (in->label[SERIES_SERVICE].size == 0)
		return error_set(err, -EINVAL, "service is missing");
	for (int i = 0; i < N_SERIES_LABELS; i++)
		if (in->label[i].size > INTAKE_LABEL_MAX)
			return error_set(err, -EINVAL, "%s has %zu bytes: the limit is %d", label_names[i],
					 in->label[i].size, INTAKE_LABEL_MAX);
	if (in->type.size > INTAKE_TYPE_MAX)
		return error_set(err, -EINVAL, "type has %zu bytes: the limit is %d", in->type.size, INTAKE_TYPE_MAX);
	if (in->key.size > INTAKE_KEY_MAX)
		return error_set(err, -EINVAL, "key has %zu bytes: the limit is %d", in->key.size, INTAKE_KEY_MAX);
	if (in->from_ms < 0 || in->from_ms > INTAKE_TIME_MAX_MS || in->to_ms < 0 || in->to_ms > INTAKE_TIME_MAX_MS)
		return error_set(err, -EINVAL, "from and to must lie between 1970 and 2100");
	if (in->from_ms && in->to_ms && in->from_ms > in->to_ms)
		return error_set(err, -EINVAL, "from is after to");
	return 0;
}

void intake_profile_done(struct intake_profile *p)
{
	profile_done(&p->profile);
}

/* "cpu" or "cpu:nanoseconds" against one of the profile's types. */
static bool type_is(const struct profile *p, uint32_t t, struct slice wanted)
{
	struct slice type = strtab_get(&p->dict.strings, p->types[t].type);
	struct slice unit = strtab_get(&p->dict.strings, p->types[t].unit);
	if (slice_eq(wanted, type))
		return true;
	return wanted.size == type.size + 1 + unit.size && memcmp(wanted.data, type.data, type.size) == 0 &&
	       wanted.data[type.size] == ':' && memcmp(wanted.data + type.size + 1, unit.data, unit.size) == 0;
}

static uint32_t kept_types(const struct profile *p, struct slice wanted)
{
	uint32_t keep = 0;
	for (uint32_t t = 0; wanted.size && t < p->n_types; t++)
		if (type_is(p, t, wanted))
			keep |= 1u << t;
	return keep ? keep : (uint32_t)(((uint64_t)1 << p->n_types) - 1);
}

/* What wick cannot store or show, though it is a profile. */
static int check_profile(const struct intake_profile *ip, struct error *err)
{
	const struct profile *p = &ip->profile;
	if (p->n_types == 0)
		return error_set(err, -EPROTONOSUPPORT, "the profile has no sample types: there is nothing to store");
	for (uint32_t t = 0; t < p->n_types; t++) {
		size_t size = strtab_get(&p->dict.strings, p->types[t].type).size +
			      strtab_get(&p->dict.strings, p->types[t].unit).size + 1;
		if (size > INTAKE_TYPE_MAX)
			return error_set(err, -EPROTONOSUPPORT,
					 "sample type %u: its name has %zu bytes, the limit is %d", t, size,
					 INTAKE_TYPE_MAX);
		for (uint32_t i = 0; i < profile_n_samples(p); i++)
			if ((ip->keep >> t & 1) && p->value[t].data[i] < 0)
				return error_set(
					err, -EPROTONOSUPPORT,
					"sample %u has a negative value: a difference of two profiles cannot be "
					"stored",
					i);
	}
	return 0;
}

/* The sender's word first, then the profile's own, then the time of arrival. */
static void set_times(struct intake_profile *p, const struct intake *in)
{
	int64_t duration_ms = p->profile.duration_ns > 0 ? p->profile.duration_ns / 1000000 : 0;
	int64_t own_ms = p->profile.time_ns > 0 ? p->profile.time_ns / 1000000 : 0;
	int64_t from = in->from_ms, to = in->to_ms;
	if (duration_ms > INTAKE_TIME_MAX_MS)
		duration_ms = 0;
	if (own_ms > INTAKE_TIME_MAX_MS)
		own_ms = 0;
	if (!from && to)
		from = to - duration_ms;
	if (!from)
		from = own_ms ? own_ms : in->received_ms - duration_ms;
	if (!to)
		to = from + duration_ms;
	p->from_ms = from;
	p->to_ms = to;
}

/* Years back is a backfill; ahead is a clock that is wrong. */
static int check_times(const struct intake_profile *p, const struct intake *in, struct error *err)
{
	int64_t ahead = p->to_ms - in->received_ms;
	if (ahead <= INTAKE_AHEAD_MS)
		return 0;
	return error_set(err, -EPROTONOSUPPORT,
			 "the profile ends %" PRId64
			 " s in the future, and %d s are the limit: is the sender's clock right?",
			 ahead / 1000, INTAKE_AHEAD_MS / 1000);
}

static int decode(const struct intake *in, struct slice body, const struct format_limits *limits, struct profile *p,
		  struct error *err)
{
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice plain;
	int r = inflate_bytes(body, limits, &inflated, &plain, err);
	if (r < 0)
		return r;
	bool is_otlp = format_detect(plain) == FORMAT_OTLP;
	p->wants_times = true;
	r = is_otlp ? otlp_salvage(plain, limits, NULL, p, err) : pprof_salvage(plain, limits, NULL, p, err);
	if (r < 0 && codec_of(body) != CODEC_RAW)
		error_prefix(err, "decompressed");
	if (r == 0 && is_otlp) {
		r = intake_drop_series_labels(in, p);
		if (r < 0)
			(void)error_set(err, r, "no memory for the profile's labels");
	}
	return r;
}

int intake_take(const struct intake *in, struct profile *p, struct intake_profile *ret, struct error *err)
{
	struct intake_profile ip = { .profile = *p, .keep = kept_types(p, in->type) };
	int r = check_profile(&ip, err);
	if (r < 0)
		return r;
	set_times(&ip, in);
	r = check_times(&ip, in, err);
	if (r < 0)
		return r;
	*ret = ip;
	return 0;
}

int intake_decode(const struct intake *in, struct slice body, const struct format_limits *limits,
		  struct membudget *budget, struct intake_profile *ret, struct error *err)
{
	struct profile p;
	if (body.size == 0)
		return error_set(err, -EBADMSG, "the body is empty: a pprof profile is expected");
	int r = profile_init(&p, budget);
	if (r < 0)
		return error_set(err, r, "no memory to decode the profile");
	r = decode(in, body, limits, &p, err);
	if (r == 0)
		r = intake_take(in, &p, ret, err);
	if (r < 0)
		profile_done(&p);
	return r;
}
