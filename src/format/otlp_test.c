/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/file.h"
#include "format/detect.h"
#include "format/inflate.h"
#include "format/otlp.h"
#include "format/otlp_wire.h"
#include "format/pprof.h"
#include "format/protobuf.h"
#include "format/testprofile.h"

#include <errno.h>

#define BUDGET ((size_t)256 << 20)

enum layout { V1_7, V1_8, V1_10 };

static struct slice bytes_of(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

static int try_decode(struct slice bytes, const struct format_limits *limits, struct error *err)
{
	struct membudget budget = membudget_of(BUDGET);
	struct profile p;
	assert_int_equal(profile_init(&p, &budget), 0);
	p.wants_times = true;
	int r = otlp_decode(bytes, limits, &p, err);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
	return r;
}

static void decode_into(const struct buf *b, struct profile *p)
{
	struct error err = { "" };
	enum format format;
	assert_int_equal(profile_init(p, NULL), 0);
	if (format_decode(bytes_of(b), &format_limits_default, p, &format, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(format, FORMAT_OTLP);
}

static void encode_test_profile(struct buf *out)
{
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(otlp_encode(&p, out), 0);
	profile_done(&p);
}

static void everything_survives(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf once = buf_of(BUDGET), twice = buf_of(BUDGET), gz = buf_of(BUDGET);
	struct profile p, q, z;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(otlp_encode(&p, &once), 0);
	decode_into(&once, &q);
	testprofile_assert_same(&p, &q);
	assert_int_equal(otlp_encode(&q, &twice), 0);
	assert_true(slice_eq(bytes_of(&once), bytes_of(&twice)));
	assert_int_equal(otlp_encode_gz(&p, &gz), 0);
	assert_int_equal(codec_of(bytes_of(&gz)), CODEC_GZIP);
	decode_into(&gz, &z);
	testprofile_assert_same(&p, &z);
	profile_done(&p);
	profile_done(&q);
	profile_done(&z);
}

/* A way that a later wick knows, or somebody else's attribute of that name, is no reason to refuse. */
static void unheard_of_ways_of_finding_frames_are_not_known(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(BUDGET);
	struct profile p;
	encode_test_profile(&b);
	uint8_t *way = memmem(b.data, b.n, "register", 8);
	assert_non_null(way);
	memcpy(way, "by magic", 8);
	decode_into(&b, &p);
	uint32_t n[N_FRAME_FOUNDS] = { 0 };
	for (uint32_t i = 1; i < p.dict.frames.n; i++)
		n[p.dict.frames.data[i].found]++;
	assert_int_equal(n[FRAME_FOUND_REGISTER], 0);
	assert_int_equal(n[FRAME_FOUND_TABLE], 1);
	assert_int_equal(n[FRAME_FOUND_FP], 1);
	profile_done(&p);
}

static void decode_times_into(const struct buf *b, struct profile *p)
{
	struct error err = { "" };
	assert_int_equal(profile_init(p, NULL), 0);
	p->wants_times = true;
	if (otlp_decode(bytes_of(b), &format_limits_default, p, &err) < 0)
		fail_msg("%s", err.text);
}

/* Two rows without a time, others with, of which some differ only in it. */
static void fill_with_times(struct profile *p)
{
	assert_int_equal(profile_init(p, NULL), 0);
	testprofile_fill(p);
	static const int64_t ms[] = { 5, 3, 0, 9, 5, 7 };
	static const uint32_t row[] = { 0, 1, 1, 0, 1, 0 };
	for (size_t i = 0; i < ARRAY_SIZE(ms); i++) {
		int64_t values[] = { (int64_t)i, i == 3 ? 0 : 10 + (int64_t)i };
		int64_t time = ms[i] ? p->time_ns + ms[i] * 1000000 + 1 : 0;
		assert_int_equal(profile_add_sample_at(p, p->node.data[row[i]], p->labels.data[row[i]], values, time),
				 0);
	}
}

static void encode_with_times(struct buf *out)
{
	struct profile p;
	fill_with_times(&p);
	assert_int_equal(otlp_encode(&p, out), 0);
	profile_done(&p);
}

/* Written with times and read again each is where it was; a reader that does
 * not want them gets sums. */
static void times_survive(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf once = buf_of(BUDGET), twice = buf_of(BUDGET);
	struct profile p, q, again, sums;
	fill_with_times(&p);
	int64_t start = p.time_ns;
	assert_int_equal(otlp_encode(&p, &once), 0);
	decode_times_into(&once, &q);
	static const struct {
		uint32_t like; /* a row of `p` with the same stack and labels */
		int64_t samples, cpu, ms;
	} want[] = { { 0, 3, 30000000, 0 }, { 1, 3, 10000012, 0 }, { 2, 0, INT64_MIN, 0 }, { 0, 0, 10, 5 },
		     { 0, 3, 0, 9 },	    { 0, 5, 15, 7 },	   { 1, 1, 11, 3 },	   { 1, 4, 14, 5 } };
	assert_int_equal(profile_n_samples(&q), ARRAY_SIZE(want));
	for (uint32_t i = 0; i < ARRAY_SIZE(want); i++) {
		uint32_t like = want[i].like;
		assert_int_equal(q.value[0].data[i], want[i].samples);
		assert_true(q.value[1].data[i] == want[i].cpu);
		assert_true(profile_sample_time(&q, i) == (want[i].ms ? start + want[i].ms * 1000000 + 1 : 0));
		assert_int_equal(q.node.data[i].v, q.node.data[like].v);
		assert_int_equal(q.labels.data[i].v, q.labels.data[like].v);
	}
	assert_int_equal(otlp_encode(&q, &twice), 0);
	decode_times_into(&twice, &again);
	testprofile_assert_same(&q, &again);
	decode_into(&once, &sums);
	assert_false(profile_has_times(&sums));
	assert_int_equal(profile_n_samples(&sums), 3);
	assert_int_equal(profile_compact(&p), 0);
	assert_int_equal(profile_compact(&sums), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(p.value[1].data[i] == sums.value[1].data[i]);
	profile_done(&p);
	profile_done(&q);
	profile_done(&again);
	profile_done(&sums);
}

static void profile_without_samples_survives(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(BUDGET);
	struct profile p, q;
	assert_int_equal(profile_init(&p, NULL), 0);
	p.time_ns = 5;
	p.duration_ns = 7;
	assert_int_equal(otlp_encode(&p, &b), 0);
	decode_into(&b, &q);
	testprofile_assert_same(&p, &q);
	profile_done(&p);
	profile_done(&q);
}

/* --- requests made by hand --- */

static const char *const strings[] = { "",
				       "samples",
				       "count",
				       "main",
				       "inner",
				       "thread.name",
				       "profile.frame.type",
				       "worker",
				       "kernel",
				       "size",
				       "/bin/server",
				       "bytes",
				       "process.executable.build_id.gnu",
				       "0aff" };
enum {
	S_SAMPLES = 1,
	S_COUNT,
	S_MAIN,
	S_INNER,
	S_THREAD,
	S_FRAME_TYPE,
	S_WORKER,
	S_KERNEL,
	S_SIZE,
	S_PATH,
	S_BYTES,
	S_BUILD_ID,
	S_ID
};

static void put_packed(struct buf *out, uint32_t field, const uint64_t *v, size_t n)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 20);
	for (size_t i = 0; i < n; i++)
		pb_put_varint(&m, v[i]);
	pb_put_bytes(out, field, bytes_of(&m));
}
#define PACKED(out, field, ...)                                                                                        \
	put_packed(out, field, (uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static void put_fixed(struct buf *out, uint32_t field, size_t n)
{
	static const uint8_t times[800];
	pb_put_bytes(out, field, slice_of(times, n * 8));
}

static void put_pair(struct buf *out, uint32_t field, uint32_t a, uint64_t x, uint32_t b, uint64_t y)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	pb_put_uint(&m, a, x);
	pb_put_uint(&m, b, y);
	pb_put_bytes(out, field, bytes_of(&m));
}

/* A text, or a number where `text` is 0. */
static void put_attribute(struct buf *out, enum layout v, uint32_t key, uint32_t text, uint64_t number, uint32_t unit)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10), any = buf_of(1 << 10);
	if (text && v == V1_10)
		pb_put_uint(&any, ANY_STRINDEX, text);
	else if (text)
		pb_put_bytes(&any, ANY_STRING, slice_str(strings[text]));
	else
		pb_put_uint(&any, ANY_INT, number);
	if (v == V1_7)
		pb_put_bytes(&m, KEY_VALUE_KEY, slice_str(strings[key]));
	else
		pb_put_uint(&m, ATTRIBUTE_KEY_STRINDEX, key);
	pb_put_bytes(&m, ATTRIBUTE_VALUE, bytes_of(&any));
	if (v != V1_7)
		pb_put_uint(&m, ATTRIBUTE_UNIT, unit);
	pb_put_bytes(out, DICTIONARY_ATTRIBUTE, bytes_of(&m));
}

/* Two locations: kernel "inner", and "main" of a mapped binary; a stack of both. */
static void put_dictionary(struct buf *out, enum layout v)
{
	_cleanup_(buf_done)
	struct buf d = buf_of(1 << 16), m = buf_of(1 << 10);
	uint32_t attributes = v == V1_7 ? OTLP_LOCATION_ATTRIBUTES_1_7 : OTLP_LOCATION_ATTRIBUTES;
	for (uint32_t table = 1; table <= (v == V1_7 ? 6u : 7u); table++)
		if (table != DICTIONARY_STRING)
			pb_put_bytes(&d, table, slice_of("", 0));
	pb_put_uint(&m, OTLP_MAPPING_START, 0x1000);
	pb_put_uint(&m, OTLP_MAPPING_FILENAME, S_PATH);
	PACKED(&m, OTLP_MAPPING_ATTRIBUTES, 4);
	pb_put_bytes(&d, DICTIONARY_MAPPING, bytes_of(&m));
	m.n = 0;
	put_pair(&m, OTLP_LOCATION_LINES, OTLP_LINE_FUNCTION, 2, OTLP_LINE_LINE, 7);
	PACKED(&m, attributes, 2);
	pb_put_bytes(&d, DICTIONARY_LOCATION, bytes_of(&m));
	m.n = 0;
	pb_put_uint(&m, OTLP_LOCATION_MAPPING, 1);
	pb_put_uint(&m, OTLP_LOCATION_ADDRESS, 0x1234);
	put_pair(&m, OTLP_LOCATION_LINES, OTLP_LINE_FUNCTION, 1, OTLP_LINE_LINE, 12);
	pb_put_bytes(&d, DICTIONARY_LOCATION, bytes_of(&m));
	put_pair(&d, DICTIONARY_FUNCTION, OTLP_FUNCTION_NAME, S_MAIN, OTLP_FUNCTION_START_LINE, 3);
	put_pair(&d, DICTIONARY_FUNCTION, OTLP_FUNCTION_NAME, S_INNER, OTLP_FUNCTION_START_LINE, 0);
	m.n = 0;
	pb_put_bytes(&m, LINK_TRACE_ID, slice_of("\x01\x02", 2));
	pb_put_bytes(&m, LINK_SPAN_ID, slice_of("\xff", 1));
	pb_put_bytes(&d, DICTIONARY_LINK, bytes_of(&m));
	put_attribute(&d, v, S_THREAD, S_WORKER, 0, 0);
	put_attribute(&d, v, S_FRAME_TYPE, S_KERNEL, 0, 0);
	put_attribute(&d, v, S_SIZE, 0, 64, S_BYTES);
	put_attribute(&d, v, S_BUILD_ID, S_ID, 0, 0);
	if (v == V1_7) {
		put_pair(&d, DICTIONARY_UNIT_1_7, UNIT_1_7_KEY, S_SIZE, UNIT_1_7_UNIT, S_BYTES);
	} else {
		m.n = 0;
		PACKED(&m, STACK_LOCATION_INDICES, 1, 2);
		pb_put_bytes(&d, DICTIONARY_STACK, bytes_of(&m));
	}
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		pb_put_bytes(&d, DICTIONARY_STRING, slice_str(strings[i]));
	pb_put_bytes(out, OTLP_DICTIONARY, bytes_of(&d));
}

/* The same sample in each layout: value 5, two labels, a link. */
static void put_sample(struct buf *out, enum layout v)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	if (v == V1_7) {
		pb_put_uint(&m, 1, 1);
		pb_put_uint(&m, 2, 2);
		PACKED(&m, 3, 5);
		PACKED(&m, 4, 1, 3);
		pb_put_uint(&m, 5, 1);
	} else if (v == V1_8) {
		pb_put_uint(&m, 1, 1);
		PACKED(&m, 2, 5);
		PACKED(&m, 3, 1, 3);
		pb_put_uint(&m, 4, 1);
	} else {
		pb_put_uint(&m, 1, 1);
		PACKED(&m, 2, 1, 3);
		pb_put_uint(&m, 3, 1);
		PACKED(&m, 4, 5);
	}
	pb_put_bytes(out, OTLP_PROFILE_SAMPLES, bytes_of(&m));
}

static void put_header(struct buf *out, enum layout v)
{
	put_pair(out, OTLP_PROFILE_SAMPLE_TYPE, OTLP_TYPE_TYPE, S_SAMPLES, OTLP_TYPE_UNIT, S_COUNT);
	if (v == V1_7) {
		PACKED(out, PROFILE_1_7_LOCATION_INDICES, 2, 1, 2);
		pb_put_uint(out, PROFILE_1_7_TIME, 1000);
		pb_put_uint(out, PROFILE_1_7_DURATION, 50);
		pb_put_uint(out, PROFILE_1_7_PERIOD, 9);
		return;
	}
	pb_put_key(out, OTLP_PROFILE_TIME, PB_64);
	buf_add(out, "\xe8\x03\0\0\0\0\0\0", 8);
	pb_put_uint(out, OTLP_PROFILE_DURATION, 50);
	pb_put_uint(out, OTLP_PROFILE_PERIOD, 9);
}

/* One profile within resource { service.name = "shop" }. */
static void put_resource(struct buf *out, const struct buf *profile)
{
	_cleanup_(buf_done)
	struct buf scope = buf_of(BUDGET), all = buf_of(BUDGET);
	static const char service[] = "\x0a\x16\x0a\x0cservice.name\x12\x06\x0a\x04shop";
	pb_put_bytes(&all, RESOURCE_PROFILES_RESOURCE, slice_of(service, sizeof(service) - 1));
	pb_put_bytes(&scope, SCOPE_PROFILES_PROFILES, bytes_of(profile));
	pb_put_bytes(&all, RESOURCE_PROFILES_SCOPE_PROFILES, bytes_of(&scope));
	pb_put_bytes(out, OTLP_RESOURCE_PROFILES, bytes_of(&all));
}

static void put_request(struct buf *out, enum layout v)
{
	_cleanup_(buf_done)
	struct buf profile = buf_of(1 << 16);
	put_header(&profile, v);
	put_sample(&profile, v);
	put_resource(out, &profile);
	put_dictionary(out, v);
}

static const struct label *has_label(const struct profile *p, uint32_t row, const char *key)
{
	uint32_t n;
	const struct label *set = profile_label_set(p, p->labels.data[row], &n);
	for (uint32_t i = 0; i < n; i++)
		if (slice_eq(strtab_get(&p->dict.strings, set[i].key), slice_str(key)))
			return &set[i];
	return NULL;
}

static const struct label *find_label(const struct profile *p, uint32_t row, const char *key)
{
	const struct label *l = has_label(p, row, key);
	if (!l)
		fail_msg("no label %s", key);
	return l;
}

static void assert_text(const struct profile *p, struct str_id s, const char *text)
{
	assert_string_equal(strtab_cstr(&p->dict.strings, s), text);
}

/* The producer's release does not matter: it is one profile. */
static void layouts_are_told_apart(void **state)
{
	(void)state;
	for (enum layout v = V1_7; v <= V1_10; v++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 20);
		struct profile p;
		put_request(&b, v);
		decode_into(&b, &p);
		assert_int_equal(p.n_types, 1);
		assert_text(&p, p.types[0].type, "samples");
		assert_int_equal(profile_n_samples(&p), 1);
		assert_int_equal(p.value[0].data[0], 5);
		assert_int_equal(p.time_ns, 1000);
		assert_int_equal(p.duration_ns, 50);
		assert_int_equal(p.period, 9);
		assert_text(&p, find_label(&p, 0, "service")->str, "shop");
		assert_text(&p, find_label(&p, 0, "thread_name")->str, "worker");
		assert_text(&p, find_label(&p, 0, "trace_id")->str, "0102");
		assert_text(&p, find_label(&p, 0, "span_id")->str, "ff");
		assert_int_equal(find_label(&p, 0, "size")->num, 64);
		assert_text(&p, find_label(&p, 0, "size")->unit, "bytes");
		struct node_id leaf = p.node.data[0], caller = p.dict.node_parent.data[leaf.v];
		const struct frame *f = &p.dict.frames.data[p.dict.node_frame.data[leaf.v].v];
		const struct frame *g = &p.dict.frames.data[p.dict.node_frame.data[caller.v].v];
		assert_text(&p, p.dict.functions.data[f->function.v].name, "inner");
		assert_int_equal(f->kind, FRAME_KERNEL);
		assert_int_equal(f->line, 7);
		assert_text(&p, p.dict.functions.data[g->function.v].name, "main");
		assert_int_equal(g->address, 0x1234);
		assert_int_equal(g->kind, FRAME_USER);
		assert_text(&p, p.dict.mappings.data[g->mapping.v].path, "/bin/server");
		assert_text(&p, p.dict.mappings.data[g->mapping.v].build_id, "0aff");
		assert_int_equal(p.dict.node_parent.data[caller.v].v, 0);
		profile_done(&p);
	}
}

static void put_times(struct buf *out, enum layout v, const uint64_t *times, size_t n, bool one_by_one)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	uint32_t field = v == V1_7 ? 6 : 5;
	for (size_t i = 0; i < n; i++) {
		if (one_by_one)
			pb_put_key(out, field, v == V1_7 ? PB_VARINT : PB_64);
		struct buf *to = one_by_one ? out : &m;
		if (v == V1_7)
			pb_put_varint(to, times[i]);
		else
			buf_add(to, &times[i], sizeof(times[i])); /* little-endian */
	}
	if (!one_by_one)
		pb_put_bytes(out, field, bytes_of(&m));
}

/* What the text of each release says of values and times, and what it does not. */
static void each_time_is_an_observation(void **state)
{
	(void)state;
	static const struct {
		size_t n_values, n_times;
		uint64_t values[3], times[3];
		int64_t want[3];
		size_t n_want;
	} cases[] = {
		{ 3, 3, { 7, 8, 9 }, { 10, 20, 30 }, { 7, 8, 9 }, 3 }, /* in pairs */
		{ 0, 3, { 0 }, { 10, 20, 30 }, { 1, 1, 1 }, 3 },       /* 1 each */
		{ 1, 3, { 11 }, { 10, 20, 30 }, { 5, 3, 3 }, 3 },      /* a sum, of nobody knows which parts */
		{ 1, 3, { (uint64_t)-7 }, { 10, 20, 30 }, { -3, -2, -2 }, 3 },
		{ 2, 1, { 5, 6 }, { 10 }, { 11 }, 1 },		      /* a value too many */
		{ 3, 3, { 7, 8, 9 }, { 10, 0, 10 }, { 7, 8, 9 }, 3 }, /* 0 is none; twice the same moment */
		{ 2, 2, { 7, 8 }, { UINT64_MAX, 20 }, { 7, 8 }, 2 },  /* not a time */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 6; i++) {
		enum layout v = (enum layout)(i % 3);
		size_t c = i / 6;
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 20), profile = buf_of(1 << 16), m = buf_of(1 << 10);
		struct profile p, sum;
		pb_put_uint(&m, 1, v == V1_7 ? 0 : 1);
		if (v == V1_7)
			pb_put_uint(&m, 2, 2);
		if (cases[c].n_values)
			put_packed(&m, v == V1_7 ? 3 : v == V1_8 ? 2 : 4, cases[c].values, cases[c].n_values);
		if (v != V1_7)
			PACKED(&m, v == V1_8 ? 3 : 2, 1, 3);
		pb_put_uint(&m, v == V1_7 ? 5 : v == V1_8 ? 4 : 3, 1);
		put_times(&m, v, cases[c].times, cases[c].n_times, i % 6 >= 3);
		put_header(&profile, v);
		pb_put_bytes(&profile, OTLP_PROFILE_SAMPLES, bytes_of(&m));
		put_resource(&b, &profile);
		put_dictionary(&b, v);
		decode_times_into(&b, &p);
		decode_into(&b, &sum);
		int64_t total = 0;
		assert_int_equal(profile_n_samples(&p), cases[c].n_want);
		for (uint32_t k = 0; k < cases[c].n_want; k++) {
			uint64_t time = cases[c].times[k];
			assert_true(p.value[0].data[k] == cases[c].want[k]);
			assert_true(profile_sample_time(&p, k) == (time == UINT64_MAX ? 0 : (int64_t)time));
			total += cases[c].want[k];
		}
		assert_int_equal(profile_n_samples(&sum), 1);
		assert_true(sum.value[0].data[0] == total);
		profile_done(&p);
		profile_done(&sum);
	}
}

/* A resource's attributes are labels of all its samples. */
static void resources_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(BUDGET);
	struct profile p, q;
	const struct otlp_text attributes[] = { { "service.name", slice_str("shop") }, { "host.name", slice_str("") } };
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(otlp_encode_resource(&p, attributes, ARRAY_SIZE(attributes), &b), 0);
	decode_into(&b, &q);
	for (uint32_t i = 0; i < profile_n_samples(&q); i++) {
		assert_text(&q, find_label(&q, i, "service")->str, "shop");
		assert_null(has_label(&q, i, "host"));
	}
	profile_done(&p);
	profile_done(&q);
}

/* Samples of stack, field 2 and times say little of their release. */
static void ambiguous_samples_are_told_by_their_numbers(void **state)
{
	(void)state;
	static const struct {
		uint64_t second[2];
		size_t n_second, n_times;
		int64_t value;
		bool attributes;
	} cases[] = {
		{ { 1, 0 }, 1, 3, 3, true },	     /* one attribute, three times */
		{ { 1, 3 }, 2, 1, 1, true },	     /* two attributes, one time */
		{ { 700, 800 }, 2, 2, 1500, false }, /* no such attributes */
		{ { 3, 0 }, 1, 0, 3, false },	     /* without a value there would be nothing */
		{ { 0, 0 }, 0, 2, 2, false },	     /* only times */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 20), profile = buf_of(1 << 16), m = buf_of(1 << 10);
		struct profile p;
		uint32_t n;
		pb_put_uint(&m, 1, 1);
		if (cases[i].n_second)
			put_packed(&m, 2, cases[i].second, cases[i].n_second);
		put_fixed(&m, 5, cases[i].n_times);
		put_header(&profile, V1_10);
		pb_put_bytes(&profile, OTLP_PROFILE_SAMPLES, bytes_of(&m));
		put_resource(&b, &profile);
		put_dictionary(&b, V1_8);
		decode_into(&b, &p);
		assert_int_equal(p.value[0].data[0], cases[i].value);
		(void)profile_label_set(&p, p.labels.data[0], &n);
		assert_int_equal(n, 1 + (cases[i].attributes ? cases[i].n_second : 0));
		profile_done(&p);
	}
}

/* --- real input --- */

/* Samples and sum that another tool saw of one type. */
static void read_expected(const char *path, int64_t *sum)
{
	_cleanup_(buf_done)
	struct buf file = buf_of(BUDGET);
	assert_int_equal(file_read(path, &file, NULL), 0);
	buf_add_byte(&file, 0);
	*sum = 0;
	for (const char *at = (char *)file.data; (at = strstr(at, "\"values\":\"")) != NULL;) {
		at += strlen("\"values\":\"");
		*sum += strtoll(at, NULL, 10);
	}
}

/* Of the processes whose executable is not known: that tool made one service
 * of them, and others of the rest. */
static int64_t sum_of(const struct profile *p, const char *type)
{
	uint32_t t;
	int64_t sum = 0;
	assert_int_equal(profile_find_type(p, type, &t, NULL), 0);
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		if (!has_label(p, i, "process.executable.name"))
			sum += p->value[t].data[i];
	return sum;
}

static void real_request_is_what_another_tool_sees(void **state)
{
	(void)state;
	const char *data = shared_data();
	char path[5000];
	if (!data)
		skip_because("no ../shared/data");
	_cleanup_(buf_done)
	struct buf file = buf_of(BUDGET), again = buf_of(BUDGET);
	struct profile p, q;
	int64_t sum;
	(void)snprintf(path, sizeof(path), "%s/otlp/otel-ebpf-profile.pb", data);
	assert_int_equal(file_read(path, &file, NULL), 0);
	decode_into(&file, &p);
	(void)snprintf(path, sizeof(path), "%s/otlp/otel-ebpf-profile-offcpu.expected.json", data);
	read_expected(path, &sum);
	assert_true(sum_of(&p, "off_cpu") == sum);
	/* That tool makes nanoseconds of a count and its period. */
	(void)snprintf(path, sizeof(path), "%s/otlp/otel-ebpf-profile-cpu.expected.json", data);
	read_expected(path, &sum);
	assert_int_equal(p.period, 50000000);
	assert_true(sum_of(&p, "samples") * p.period == sum);
	assert_int_equal(otlp_encode(&p, &again), 0);
	decode_into(&again, &q);
	testprofile_assert_same(&p, &q);
	profile_done(&p);
	profile_done(&q);
}

/* --- what is wrong, and where --- */

static void messages_name_place_and_field(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		int code;
		const char *message;
	} cases[] = {
#define CASE(bytes, code, message) { bytes, sizeof(bytes) - 1, code, message }
		CASE("", -ENODATA, "not a profile: it is empty"),
		CASE("\x0a", -ENODATA, "at byte 1: ends inside a number"),
		CASE("\x0a\x05", -ENODATA, "at byte 1: ends inside a field"),
		CASE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", -ENODATA, "at byte 1: ends inside a field"),
		CASE("\x08\x01", -EBADMSG, "at byte 0: field resource_profiles has wire type 0 instead of 2"),
		CASE("\x0a\x00", -EPROTONOSUPPORT,
		     "no dictionary: either the end is missing, or this is a layout from before OTLP v1.7, which wick "
		     "does not read"),
		CASE("\x12\x00\x12\x00", -EBADMSG, "at byte 2: a second dictionary"),
		CASE("\x12\x02\x28\x01", -EBADMSG, "at byte 2: field string_table has wire type 0 instead of 2"),
		CASE("\x12\x04\x1a\x02\x08\x07", -EBADMSG,
		     "at byte 4: function 0: name_strindex: string 7 does not exist"),
		CASE("\x12\x04\x12\x02\x08\x07", -EBADMSG, "at byte 4: location 0: mapping 7 does not exist"),
		CASE("\x12\x05\x3a\x03\x0a\x01\x07", -EBADMSG, "at byte 6: stack 0: location 7 does not exist"),
		CASE("\x0a\x0a\x12\x08\x12\x06\x0a\x00\x12\x02\x08\x07\x12\x00", -EBADMSG,
		     "at byte 8: sample 1: 0 values for 1 sample types"),
		CASE("\x0a\x0d\x12\x0b\x12\x09\x0a\x00\x12\x05\x08\x07\x22\x01\x01\x12\x00", -EBADMSG,
		     "at byte 8: sample 1: stack 7 does not exist"),
		CASE("\x0a\x0e\x12\x0c\x12\x0a\x0a\x00\x12\x06\x12\x01\x09\x22\x01\x01\x12\x00", -EBADMSG,
		     "at byte 10: sample 1: attribute 9 does not exist"),
#undef CASE
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		int r = try_decode(slice_of(cases[i].bytes, cases[i].size), &format_limits_default, &err);
		assert_string_equal(err.text, cases[i].message);
		assert_int_equal(r, cases[i].code);
	}
}

static void limits_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	encode_test_profile(&b);
	struct error err = { "" };
	struct format_limits l = format_limits_default;
#define REFUSED(field, value, message)                                                                                 \
	l = format_limits_default;                                                                                     \
	l.field = value;                                                                                               \
	assert_int_equal(try_decode(bytes_of(&b), &l, &err), -E2BIG);                                                  \
	assert_non_null(strstr(err.text, message))
	REFUSED(n_samples, 4, "more than 4 samples");
	REFUSED(n_locations, 2, "more than 2 mapping_table");
	REFUSED(n_strings, 5, "more than 5 strings");
	REFUSED(n_comments, 1, "more than 1 comments");
	REFUSED(n_labels, 4, "sample 1: more than 4 labels");
	REFUSED(depth, 3, "more than 3 frames");
	REFUSED(input_size, 100, "the limit is 100");
	/* A few bytes of one sample may be many rows. */
	_cleanup_(buf_done)
	struct buf profile = buf_of(1 << 10), m = buf_of(1 << 10);
	put_times(&m, V1_10, (uint64_t[]){ 1, 2, 3, 4, 5 }, 5, false);
	put_header(&profile, V1_10);
	pb_put_bytes(&profile, OTLP_PROFILE_SAMPLES, bytes_of(&m));
	b.n = 0;
	put_resource(&b, &profile);
	put_dictionary(&b, V1_10);
	REFUSED(n_samples, 4, "more than 4 samples");
#undef REFUSED
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	encode_with_times(&b);
	bool done = false;
	for (size_t max = 1000; !done && max < 1 << 20; max += 61) {
		struct membudget budget = membudget_of(max);
		struct profile p;
		struct error err = { "" };
		int r = profile_init(&p, &budget);
		if (r == 0) {
			p.wants_times = true;
			r = otlp_decode(bytes_of(&b), &format_limits_default, &p, &err);
			profile_done(&p);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
		done = r == 0;
	}
	assert_true(done);
}

/* In a buffer of its own size, so that one byte too far is seen. */
static int decode_copy(const uint8_t *data, size_t n)
{
	_cleanup_(free_ptr)
	uint8_t *part = malloc(n ? n : 1);
	struct error err = { "" };
	assert_non_null(part);
	memcpy(part, data, n);
	int r = try_decode(slice_of(part, n), &format_limits_default, &err);
	assert_true(r <= 0 && (r == 0 || err.text[0]));
	return r;
}

static void cut_and_flipped_bytes_do_no_harm(void **state)
{
	(void)state;
	for (enum layout v = V1_7; v <= V1_10 + 2; v++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 20);
		if (v == V1_10 + 2)
			encode_with_times(&b);
		else if (v > V1_10)
			encode_test_profile(&b);
		else
			put_request(&b, v);
		for (size_t n = 0; n < b.n; n++)
			assert_true(decode_copy(b.data, n) < 0);
		for (size_t bit = 0; bit < b.n * 8; bit++) {
			b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			(void)decode_copy(b.data, b.n);
			b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

/* --- half files --- */

static int salvage_copy(const uint8_t *data, size_t n, struct salvage *salvage, struct profile *p, struct error *err)
{
	_cleanup_(free_ptr)
	uint8_t *part = malloc(n ? n : 1);
	assert_non_null(part);
	memcpy(part, data, n);
	assert_int_equal(profile_init(p, NULL), 0);
	return format_salvage(slice_of(part, n), &format_limits_default, salvage, p, NULL, err);
}

/* The order of the two fields that a request has is free. */
static void turn_round(const struct buf *b, struct buf *out)
{
	struct pb_reader r = pb_reader_of(bytes_of(b));
	struct pb_field resource, dictionary;
	assert_int_equal(pb_next(&r, &resource), 1);
	assert_int_equal(pb_next(&r, &dictionary), 1);
	assert_int_equal(dictionary.number, OTLP_DICTIONARY);
	pb_put_bytes(out, OTLP_DICTIONARY, dictionary.bytes);
	pb_put_bytes(out, OTLP_RESOURCE_PROFILES, resource.bytes);
}

/* Every beginning: no less than a shorter one gave, never more samples than
 * the whole has, and never without a word. */
static void every_beginning_says_what_it_lacks(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		_cleanup_(buf_done)
		struct buf written = buf_of(1 << 20), turned = buf_of(1 << 20);
		if (i / 2 <= V1_10)
			put_request(&written, (enum layout)(i / 2));
		else
			encode_test_profile(&written);
		turn_round(&written, &turned);
		const struct buf *b = i % 2 ? &turned : &written;
		uint32_t before = 0;
		for (size_t n = 1; n <= b->n; n++) {
			struct salvage salvage = { .is_wanted = true };
			struct error err = { "" };
			struct profile p;
			int r = salvage_copy(b->data, n, &salvage, &p, &err);
			assert_true(r == 0 || r == -ENODATA || r == -EBADMSG || r == -EPROTONOSUPPORT);
			assert_true(r == 0 ? (n < b->n) == salvage_is_half(&salvage) : err.text[0] != 0);
			if (r == 0) {
				assert_true(profile_n_samples(&p) >= before);
				before = profile_n_samples(&p);
			}
			profile_done(&p);
		}
		assert_true(before > 0);
	}
}

/* Most producers write strings or stacks last. */
static void what_half_a_file_lacks_is_counted(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20), dictionary = buf_of(1 << 20), half = buf_of(1 << 20);
	encode_test_profile(&b);
	struct salvage salvage = { .is_wanted = true };
	struct error err = { "" };
	struct profile p;
	assert_int_equal(salvage_copy(b.data, b.n - 3, &salvage, &p, &err), 0);
	assert_string_equal(salvage.end.text, "ends in the middle of its dictionary, at byte 1369, after 3 samples");
	assert_string_equal(salvage.lost.text, "1 function names");
	profile_done(&p);

	salvage = (struct salvage){ 0 };
	assert_int_equal(salvage_copy(b.data, b.n - 3, &salvage, &p, &err), -ENODATA);
	assert_string_equal(err.text,
			    "OTLP profiles: ends in the middle of its dictionary, at byte 1369, after 3 samples; "
			    "--salvage keeps them");
	profile_done(&p);

	salvage = (struct salvage){ .is_wanted = true };
	assert_int_equal(salvage_copy(b.data, 150, &salvage, &p, &err), -ENODATA);
	assert_string_equal(err.text,
			    "OTLP profiles: ends in the middle of a profile, at byte 150; nothing can be kept: "
			    "its dictionary is missing");
	profile_done(&p);

	/* Stacks last: samples of those behind the end are left out. */
	struct pb_reader r = pb_reader_of(bytes_of(&b)), inner;
	struct pb_field resource, f;
	assert_int_equal(pb_next(&r, &resource), 1);
	assert_int_equal(pb_next(&r, &f), 1);
	inner = pb_reader_nested(f.bytes);
	for (int stacks = 0; stacks < 2; stacks++) {
		inner = pb_reader_nested(f.bytes);
		struct pb_field row;
		while (pb_next(&inner, &row) > 0)
			if ((row.number == DICTIONARY_STACK) == stacks)
				pb_put_bytes(&dictionary, row.number, row.bytes);
	}
	pb_put_bytes(&half, OTLP_RESOURCE_PROFILES, resource.bytes);
	pb_put_bytes(&half, OTLP_DICTIONARY, bytes_of(&dictionary));
	salvage = (struct salvage){ .is_wanted = true };
	assert_int_equal(salvage_copy(half.data, half.n - 1, &salvage, &p, &err), 0);
	assert_string_equal(salvage.lost.text, "2 samples, whose stacks are not there");
	profile_done(&p);
}

/* v1.7 samples that share one long list in ever new stretches. */
static void overlapping_stretches_are_refused(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(8 << 20), profile = buf_of(8 << 20), m = buf_of(1 << 10);
	static uint64_t indices[20000];
	struct error err = { "" };
	for (size_t i = 0; i < ARRAY_SIZE(indices); i++)
		indices[i] = 1 + i % 2;
	put_header(&profile, V1_7);
	put_packed(&profile, PROFILE_1_7_LOCATION_INDICES, indices, ARRAY_SIZE(indices));
	for (uint64_t i = 0; i < 4000; i++) {
		m.n = 0;
		pb_put_uint(&m, 1, i);
		pb_put_uint(&m, 2, 10000);
		PACKED(&m, 3, 1);
		pb_put_bytes(&profile, OTLP_PROFILE_SAMPLES, bytes_of(&m));
	}
	put_resource(&b, &profile);
	put_dictionary(&b, V1_7);
	assert_int_equal(try_decode(bytes_of(&b), &format_limits_default, &err), -E2BIG);
	assert_non_null(strstr(err.text, "stretches that overlap"));
}

/* Both formats are protobuf with messages in fields 1 and 2. */
static void pprof_is_not_taken_for_it(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(pprof_encode(&p, &b), 0);
	assert_int_equal(format_detect(bytes_of(&b)), FORMAT_PPROF);
	b.n = 0;
	assert_int_equal(otlp_encode(&p, &b), 0);
	assert_int_equal(format_detect(bytes_of(&b)), FORMAT_OTLP);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_survives),
		cmocka_unit_test(unheard_of_ways_of_finding_frames_are_not_known),
		cmocka_unit_test(times_survive),
		cmocka_unit_test(each_time_is_an_observation),
		cmocka_unit_test(resources_are_named),
		cmocka_unit_test(profile_without_samples_survives),
		cmocka_unit_test(layouts_are_told_apart),
		cmocka_unit_test(ambiguous_samples_are_told_by_their_numbers),
		cmocka_unit_test(real_request_is_what_another_tool_sees),
		cmocka_unit_test(messages_name_place_and_field),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(budget_ends_in_an_error),
		cmocka_unit_test(cut_and_flipped_bytes_do_no_harm),
		cmocka_unit_test(every_beginning_says_what_it_lacks),
		cmocka_unit_test(what_half_a_file_lacks_is_counted),
		cmocka_unit_test(overlapping_stretches_are_refused),
		cmocka_unit_test(pprof_is_not_taken_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
