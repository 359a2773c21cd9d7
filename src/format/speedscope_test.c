/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/folded.h"
#include "format/speedscope.h"
#include "format/testprofile.h"

#include "base/file.h"

#include <errno.h>

/* "F" stands for frames a, b, c. */
#define F "\"shared\":{\"frames\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]}"

static int decode_slice(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return speedscope_decode(text, limits, p, err);
}

static int decode(const char *text, struct profile *p, struct error *err)
{
	return decode_slice(slice_str(text), &format_limits_default, p, err);
}

static void assert_folded(const struct profile *p, uint32_t type, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	assert_int_equal(folded_encode(p, type, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
}

static void assert_type(const struct profile *p, uint32_t t, const char *type, const char *unit)
{
	assert_string_equal(strtab_cstr(&p->dict.strings, p->types[t].type), type);
	assert_string_equal(strtab_cstr(&p->dict.strings, p->types[t].unit), unit);
}

static void assert_becomes(const char *text, const char *type, const char *unit, const char *folded)
{
	struct error err = { "" };
	struct profile p;
	if (decode(text, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(p.n_types, 1);
	assert_type(&p, 0, type, unit);
	assert_folded(&p, 0, folded);
	profile_done(&p);
}

static void assert_refused(const char *text, int code, const char *message)
{
	struct error err = { "" };
	struct profile p;
	int r = decode(text, &p, &err);
	assert_string_equal(err.text, message);
	assert_int_equal(r, code);
	profile_done(&p);
}

static void samples_become_stacks(void **state)
{
	(void)state;
	assert_becomes("{" F ",\"profiles\":[{\"type\":\"sampled\",\"name\":\"x\",\"unit\":\"none\",\"startValue\":0,"
		       "\"endValue\":9,\"samples\":[[0,1],[0,1,2],[0],[0,1],[]],\"weights\":[1,2,3,1,5]}]}",
		       "samples", "count", "[unknown] 5\na 3\na;b 2\na;b;c 2\n");
	assert_becomes("{\"profiles\":[{\"weights\":[2],\"samples\":[[1]],\"unit\":\"bytes\",\"type\":\"sampled\"}]," F
		       "}",
		       "space", "bytes", "b 2\n");
}

static void units_of_time_become_nanoseconds(void **state)
{
	(void)state;
	static const struct {
		const char *unit, *folded;
	} cases[] = {
		{ "nanoseconds", "a 3\nb 1\n" },
		{ "microseconds", "a 3000\nb 1000\n" },
		{ "milliseconds", "a 3000000\nb 1000000\n" },
		{ "seconds", "a 3000000000\nb 1000000000\n" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[400];
		(void)snprintf(text, sizeof(text),
			       "{" F ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"%s\","
			       "\"samples\":[[0],[0],[1]],\"weights\":[1.5,1.5,1]}]}",
			       cases[i].unit);
		assert_becomes(text, "time", "nanoseconds", cases[i].folded);
	}
}

/* A hundred times a tenth is ten, not zero. */
static void fractions_add_up(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 16);
	buf_add_str(&text, "{" F ",\"profiles\":[{\"type\":\"sampled\",\"unit\":\"none\",\"samples\":[[0]");
	for (int i = 1; i < 100; i++)
		buf_add_str(&text, ",[0]");
	buf_add_str(&text, "],\"weights\":[0.1");
	for (int i = 1; i < 100; i++)
		buf_add_str(&text, ",0.1");
	buf_add_str(&text, "]}]}");
	buf_add_byte(&text, 0);
	assert_becomes((const char *)text.data, "samples", "count", "a 10\n");
}

static void events_become_self_time(void **state)
{
	(void)state;
	assert_becomes("{" F ",\"profiles\":[{\"type\":\"evented\",\"unit\":\"none\",\"startValue\":1,\"endValue\":20,"
		       "\"events\":[{\"type\":\"O\",\"frame\":0,\"at\":1},{\"type\":\"O\",\"frame\":1,\"at\":3},"
		       "{\"type\":\"C\",\"frame\":1,\"at\":7},{\"type\":\"C\",\"frame\":0,\"at\":7},"
		       "{\"type\":\"O\",\"frame\":2,\"at\":10}]}]}",
		       "samples", "count", "a 2\na;b 4\nc 10\n");
}

static void several_profiles_are_told_apart(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(
		decode("{" F ",\"profiles\":["
		       "{\"type\":\"sampled\",\"name\":\"t1\",\"unit\":\"seconds\",\"samples\":[[0]],\"weights\":[1]},"
		       "{\"type\":\"sampled\",\"name\":\"t2\",\"unit\":\"seconds\",\"samples\":[[0]],\"weights\":[2]},"
		       "{\"type\":\"sampled\",\"name\":\"t1\",\"unit\":\"bytes\",\"samples\":[[1]],\"weights\":[8]}]}",
		       &p, NULL),
		0);
	assert_int_equal(p.n_types, 2);
	assert_type(&p, 0, "time", "nanoseconds");
	assert_type(&p, 1, "space", "bytes");
	assert_folded(&p, 0, "a 3000000000\n");
	assert_folded(&p, 1, "b 8\n");
	static const char *const names[] = { "t1", "t2", "t1" };
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t n;
		const struct label *set = profile_label_set(&p, p.labels.data[i], &n);
		assert_int_equal(n, 1);
		assert_string_equal(strtab_cstr(&p.dict.strings, set->key), "profile");
		assert_string_equal(strtab_cstr(&p.dict.strings, set->str), names[i]);
	}
	profile_done(&p);
}

static void frames_keep_file_and_line(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(decode("{\"shared\":{\"frames\":[{\"name\":\"f\",\"file\":\"f.c\",\"line\":12,\"col\":3},"
				"{\"name\":\"g\",\"line\":-1,\"col\":null,\"file\":null}]},\"profiles\":[{\"type\":"
				"\"sampled\",\"unit\":\"none\",\"samples\":[[1,0]],\"weights\":[1]}]}",
				&p, NULL),
			 0);
	const struct dict *d = &p.dict;
	const struct frame *f = &d->frames.data[d->node_frame.data[p.node.data[0].v].v];
	assert_int_equal(f->line, 12);
	assert_int_equal(f->column, 3);
	assert_string_equal(strtab_cstr(&d->strings, d->functions.data[f->function.v].file), "f.c");
	f = &d->frames.data[d->node_frame.data[d->node_parent.data[p.node.data[0].v].v].v];
	assert_int_equal(f->line, 0);
	assert_int_equal(f->column, 0);
	profile_done(&p);
}

#define ONE(rest)	    "{" F ",\"profiles\":[{\"unit\":\"none\"," rest "}]}"
#define S(samples, weights) ONE("\"type\":\"sampled\",\"samples\":" samples ",\"weights\":" weights)
#define E(events)	    ONE("\"type\":\"evented\",\"events\":" events)

static void messages_name_the_byte(void **state)
{
	(void)state;
	assert_refused("{}", -EBADMSG, "at byte 0: no shared.frames");
	assert_refused("{" F "}", -EBADMSG, "at byte 0: no profiles");
	assert_refused(S("[[0,3]]", "[1]"), -EBADMSG, "at byte 120: frame 3 does not exist");
	assert_refused(S("[[-1]]", "[1]"), -EBADMSG, "at byte 118: -1 is negative");
	assert_refused(S("[[0]]", "[]"), -EBADMSG, "at byte 132: fewer weights than samples");
	assert_refused(S("[[0]]", "[1,1]"), -EBADMSG, "at byte 133: more weights than samples");
	assert_refused(S("[[0]]", "[-1]"), -EBADMSG, "at byte 133: a negative weight");
	assert_refused(S("[[0]]", "[1e19]"), -EBADMSG, "at byte 118: a weight that does not fit into 63 bits");
	assert_refused(S("[0]", "[1]"), -EBADMSG, "at byte 117: expected an array, found a number");
	assert_refused(S("[[0]", "[1]"), -EBADMSG, "at byte 134: expected ']', found '}'");
	assert_refused(ONE("\"type\":\"sampled\",\"samples\":[]"), -EBADMSG,
		       "at byte 74: a sampled profile without samples or weights");
	assert_refused(ONE("\"type\":\"evented\""), -EBADMSG, "at byte 74: an evented profile without events");
	assert_refused(ONE("\"name\":\"x\""), -EBADMSG, "at byte 74: a profile without type");
	assert_refused(ONE("\"type\":\"other\""), -EBADMSG,
		       "at byte 96: profile type \"other\" is neither sampled nor evented");
	assert_refused("{\"profiles\":[{\"unit\":\"parsecs\"}]}", -EBADMSG,
		       "at byte 21: unit \"parsecs\" is none of speedscope's");
	assert_refused(E("[{\"at\":1,\"frame\":0}]"), -EBADMSG,
		       "at byte 116: an event without at, frame or a type of O or C");
	assert_refused(E("[{\"at\":1,\"frame\":0,\"type\":\"C\"}]"), -EBADMSG,
		       "at byte 116: frame 0 is closed but is not the last one opened");
	assert_refused(E("[{\"at\":2,\"frame\":0,\"type\":\"O\"},{\"at\":1,\"frame\":0,\"type\":\"C\"}]"), -EBADMSG,
		       "at byte 146: an event earlier than the one before it");
	assert_refused("{\"shared\":{\"frames\":[{\"name\":\"a\"", -ENODATA,
		       "ends in the middle of a value, at byte 32");
}

/* wick's own profiles are types, of which there are 32 at most. */
static void too_many_types_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 16);
	buf_add_str(&text, "{\"exporter\":\"wick@1\"," F ",\"profiles\":[");
	size_t last = 0;
	for (int i = 0; i <= PROFILE_MAX_TYPES; i++) {
		last = text.n + (i > 0);
		buf_printf(&text,
			   "%s{\"type\":\"sampled\",\"name\":\"t%d\",\"unit\":\"none\",\"samples\":[],\"weights\":[]}",
			   i ? "," : "", i);
	}
	buf_add_str(&text, "]}");
	buf_add_byte(&text, 0);
	char message[64];
	(void)snprintf(message, sizeof(message), "at byte %zu: more than 32 sample types", last);
	assert_refused((const char *)text.data, -E2BIG, message);
}

static void limits_are_named(void **state)
{
	(void)state;
	struct format_limits l = format_limits_default;
	struct error err = { "" };
	struct profile p;
	l.depth = 2;
	assert_int_equal(decode_slice(slice_str(S("[[0,1,2]]", "[1]")), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "at byte 122: more than 2 frames in one stack");
	profile_done(&p);
	l.n_samples = 1;
	assert_int_equal(decode_slice(slice_str(S("[[0],[0]]", "[1,1]")), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "at byte 122: more than 1 samples");
	profile_done(&p);
	l.n_locations = 2;
	assert_int_equal(decode_slice(slice_str(S("[[0]]", "[1]")), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "at byte 55: more than 2 frames");
	profile_done(&p);
	l = format_limits_default;
	l.n_strings = 2;
	assert_int_equal(decode_slice(slice_str(S("[[0]]", "[1]")), &l, &p, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 2 strings"));
	profile_done(&p);
	l.input_size = 10;
	assert_int_equal(decode_slice(slice_str(S("[[0]]", "[1]")), &l, &p, &err), -E2BIG);
	assert_string_equal(err.text, "more than 10 bytes");
	profile_done(&p);
	struct membudget budget = membudget_of(SIZE_MAX);
	assert_int_equal(profile_init(&p, &budget), 0);
	budget.max = budget.used; /* from here on, nothing more */
	assert_int_equal(speedscope_decode(slice_str(S("[[0]]", "[1]")), &format_limits_default, &p, &err), -ENOBUFS);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

static void assert_returns(const struct profile *p, const char *const *folded, uint32_t n)
{
	_cleanup_(buf_done)
	struct buf once = buf_of(1 << 20), twice = buf_of(1 << 20);
	struct error err = { "" };
	struct profile q;
	assert_int_equal(speedscope_encode(p, &once), 0);
	if (decode_slice(slice_of(once.data, once.n), &format_limits_default, &q, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(q.n_types, n);
	for (uint32_t t = 0; t < n; t++) {
		assert_type(&q, t, strtab_cstr(&p->dict.strings, p->types[t].type),
			    strtab_cstr(&p->dict.strings, p->types[t].unit));
		assert_folded(&q, t, folded[t]);
	}
	assert_int_equal(speedscope_encode(&q, &twice), 0);
	assert_true(slice_eq(slice_of(once.data, once.n), slice_of(twice.data, twice.n)));
	profile_done(&q);
}

static void what_is_written_reads_back(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(speedscope_encode(&p, &out), -EDOM); /* its third sample is negative */
	p.value[1].data[2] = 0;
	static const char *const folded[] = {
		"main;parse;next_token;peek 3\nmain;server+0x400300;do_syscall_64 1\n",
		"main;parse;next_token;peek 30000000\nmain;server+0x400300;do_syscall_64 10000000\n",
	};
	assert_returns(&p, folded, 2);
	profile_done(&p);
}

static void text_that_is_written_is_escaped(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct profile p, q;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str("a\"\\\t;\xff\xc3\xa4 7\n"), &format_limits_default, &p, NULL), 0);
	assert_int_equal(speedscope_encode(&p, &out), 0);
	assert_int_equal(decode_slice(slice_of(out.data, out.n), &format_limits_default, &q, NULL), 0);
	assert_folded(&q, 0, "a\"\\\t;\xef\xbf\xbd\xc3\xa4 7\n");
	profile_done(&p);
	profile_done(&q);
}

static void read_shared(const char *name, struct profile *p)
{
	if (!shared_data())
		skip_because("no ../shared/data");
	char path[4200];
	(void)snprintf(path, sizeof(path), "%s/speedscope/%s", shared_data(), name);
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 20);
	struct error err = { "" };
	if (file_read(path, &text, &err) < 0 ||
	    decode_slice(slice_of(text.data, text.n), &format_limits_default, p, &err) < 0)
		fail_msg("%s", err.text);
}

static void real_files_are_read(void **state)
{
	(void)state;
	struct profile p;
	read_shared("simple.speedscope.json", &p);
	assert_type(&p, 0, "samples", "count");
	assert_folded(&p, 0, "a;b 5\na;b;c 5\na;b;d 4\n");
	profile_done(&p);
	read_shared("two-sampled.speedscope.json", &p);
	assert_int_equal(p.n_types, 1);
	assert_type(&p, 0, "time", "nanoseconds");
	assert_int_equal(profile_n_samples(&p), 10);
	assert_folded(&p, 0, "a;b 10000000000\na;b;c 10000000000\na;b;d 8000000000\n");
	profile_done(&p);
}

static void broken_files_end_well(void **state)
{
	(void)state;
	static const char *const whole[] = {
		S("[[0,1],[2]]", "[1.5,2]"),
		E("[{\"at\":0,\"frame\":0,\"type\":\"O\"},{\"at\":2,\"frame\":0,\"type\":\"C\"}]"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		size_t size = strlen(whole[i]);
		for (size_t n = 0; n < size; n++) {
			_cleanup_(free_ptr)
			uint8_t *copy = malloc(size);
			struct error err = { "" };
			struct profile p;
			assert_non_null(copy);
			memcpy(copy + size - n, whole[i], n);
			assert_int_equal(decode_slice(slice_of(copy + size - n, n), &format_limits_default, &p, &err),
					 -ENODATA);
			profile_done(&p);
		}
		for (size_t bit = 0; bit < size * 8; bit++) {
			_cleanup_(free_ptr)
			uint8_t *copy = malloc(size);
			struct error err = { "" };
			struct profile p;
			assert_non_null(copy);
			memcpy(copy, whole[i], size);
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
			int r = decode_slice(slice_of(copy, size), &format_limits_default, &p, &err);
			assert_true(r == 0 || err.text[0]);
			profile_done(&p);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_become_stacks),
		cmocka_unit_test(units_of_time_become_nanoseconds),
		cmocka_unit_test(fractions_add_up),
		cmocka_unit_test(events_become_self_time),
		cmocka_unit_test(several_profiles_are_told_apart),
		cmocka_unit_test(frames_keep_file_and_line),
		cmocka_unit_test(messages_name_the_byte),
		cmocka_unit_test(too_many_types_are_named),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(text_that_is_written_is_escaped),
		cmocka_unit_test(real_files_are_read),
		cmocka_unit_test(broken_files_end_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
