/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile keeps on its way through other formats:
 *
 *   pprof, OTLP                      all that wick holds
 *   speedscope, folded, flamebearer  names and values of stacks, and some more
 *
 * Written as X, read again and written as Y it must be what Y makes of it
 * directly, wherever X keeps all that Y can say. */
#include "unit.h"

#include "format/detect.h"
#include "format/flamebearer.h"
#include "format/folded.h"
#include "format/otlp.h"
#include "format/pprof.h"
#include "format/speedscope.h"
#include "format/testprofile.h"
#include "model/calltree.h"

#define SIZE_MAX_OUT ((size_t)16 << 20)

static int write_folded(const struct profile *p, struct buf *out)
{
	return folded_encode(p, profile_default_type(p), out);
}

static int write_flamebearer(const struct profile *p, struct buf *out)
{
	uint32_t type = profile_default_type(p);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	struct calltree t = { 0 };
	assert_non_null(b);
	assert_non_null(self);
	profile_node_values(p, type, self);
	assert_int_equal(calltree_add(b, &p->dict, self, slice_of("", 0), NULL), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	int r = flamebearer_encode(&t, strtab_cstr(&p->dict.strings, p->types[type].type),
				   strtab_cstr(&p->dict.strings, p->types[type].unit), out);
	calltree_done(&t);
	free(self);
	return r;
}

enum { PPROF, OTLP, SPEEDSCOPE, FOLDED, FLAMEBEARER, N_WAYS };

static const struct {
	const char *name;
	enum format format;
	int (*write)(const struct profile *p, struct buf *out);
} ways[N_WAYS] = {
	[PPROF] = { "pprof", FORMAT_PPROF, pprof_encode },
	[OTLP] = { "OTLP", FORMAT_OTLP, otlp_encode },
	[SPEEDSCOPE] = { "speedscope", FORMAT_SPEEDSCOPE, speedscope_encode },
	[FOLDED] = { "folded", FORMAT_FOLDED, write_folded },
	[FLAMEBEARER] = { "flamebearer", FORMAT_FLAMEBEARER, write_flamebearer },
};

static void write_as(int way, const struct profile *p, struct buf *out)
{
	*out = buf_of(SIZE_MAX_OUT);
	int r = ways[way].write(p, out);
	if (r < 0)
		fail_msg("%s: %d", ways[way].name, r);
}

static void read_back(int way, const struct buf *b, struct profile *p)
{
	struct error err = { "" };
	enum format format;
	assert_int_equal(profile_init(p, NULL), 0);
	if (format_decode(slice_of(b->data, b->n), &format_limits_default, p, &format, &err) < 0)
		fail_msg("%s: %s", ways[way].name, err.text);
	assert_int_equal(format, ways[way].format);
}

/* The test profile with values that all formats can say. */
static void fill(struct profile *p)
{
	assert_int_equal(profile_init(p, NULL), 0);
	testprofile_fill(p);
	for (uint32_t t = 0; t < p->n_types; t++)
		for (uint32_t i = 0; i < profile_n_samples(p); i++)
			if (p->value[t].data[i] <= 0)
				p->value[t].data[i] = 5 + t;
}

static void assert_same_bytes(int to, int through, const struct buf *direct, const struct buf *then)
{
	if (direct->n != then->n || memcmp(direct->data, then->data, then->n) != 0)
		fail_msg("%s through %s differs:\n%.*s\n%.*s", ways[to].name, ways[through].name,
			 SLICE_FMT(slice_of(direct->data, direct->n)), SLICE_FMT(slice_of(then->data, then->n)));
}

/* Where the order of tables says nothing, what is read from both counts. */
static void assert_same_reading(int to, const struct buf *direct, const struct buf *then)
{
	struct profile p, q;
	read_back(to, direct, &p);
	read_back(to, then, &q);
	testprofile_assert_same(&p, &q);
	profile_done(&p);
	profile_done(&q);
}

/* p -> `through` -> `to` is p -> `to`. */
static void assert_kept(const struct profile *p, int through, int to)
{
	_cleanup_(buf_done)
	struct buf direct = { 0 }, then = { 0 };
	_cleanup_(buf_done)
	struct buf first = { 0 };
	struct profile q;
	write_as(to, p, &direct);
	write_as(through, p, &first);
	read_back(through, &first, &q);
	write_as(to, &q, &then);
	profile_done(&q);
	if (to == FOLDED)
		assert_same_bytes(to, through, &direct, &then);
	else
		assert_same_reading(to, &direct, &then);
}

static void pprof_and_otlp_keep_what_any_format_says(void **state)
{
	(void)state;
	struct profile p;
	fill(&p);
	for (int through = PPROF; through <= OTLP; through++)
		for (int to = 0; to < N_WAYS; to++)
			assert_kept(&p, through, to);
	profile_done(&p);
}

static void pprof_and_otlp_hold_the_same(void **state)
{
	(void)state;
	struct profile p, q, z;
	struct buf b;
	fill(&p);
	for (int first = PPROF; first <= OTLP; first++) {
		write_as(first, &p, &b);
		read_back(first, &b, &q);
		buf_done(&b);
		int second = first == PPROF ? OTLP : PPROF;
		write_as(second, &q, &b);
		read_back(second, &b, &z);
		buf_done(&b);
		testprofile_assert_same(&p, &z);
		profile_done(&q);
		profile_done(&z);
	}
	profile_done(&p);
}

/* What a format has once let go, it does not let go more of: what came out
 * of it goes through any that keep as much, and through itself, unchanged. */
static void what_is_left_stays(void **state)
{
	(void)state;
	static const uint8_t keeps[N_WAYS][N_WAYS] = {
		[SPEEDSCOPE] = { [PPROF] = 1, [OTLP] = 1, [SPEEDSCOPE] = 1 },
		[FOLDED] = { [PPROF] = 1, [OTLP] = 1, [FOLDED] = 1 },
		[FLAMEBEARER] = { [PPROF] = 1, [OTLP] = 1, [SPEEDSCOPE] = 1, [FLAMEBEARER] = 1 },
	};
	struct profile p, q;
	struct buf b;
	fill(&p);
	for (int from = SPEEDSCOPE; from < N_WAYS; from++) {
		write_as(from, &p, &b);
		read_back(from, &b, &q);
		buf_done(&b);
		for (int through = 0; through < N_WAYS; through++)
			if (keeps[from][through])
				assert_kept(&q, through, from);
		profile_done(&q);
	}
	profile_done(&p);
}

/* Kernel, JIT and inlined frames are told by their ending both ways. */
static void folded_kinds_survive_pprof_and_otlp(void **state)
{
	(void)state;
	static const char text[] = "main;run it now;sys_read_[k] 9223372036854775807\n"
				   "main;run it now;eval_[j] 7\n"
				   "main;run it now;leaf one_[i] 3\n"
				   "main;[unknown] 2\n"
				   "odd_[x];a_[k]_[k] 1\n";
	struct profile p;
	struct buf b = buf_of(SIZE_MAX_OUT);
	buf_add_str(&b, text);
	read_back(FOLDED, &b, &p);
	buf_done(&b);
	write_as(FOLDED, &p, &b);
	buf_add_byte(&b, 0);
	assert_string_equal((const char *)b.data, text);
	buf_done(&b);
	assert_kept(&p, PPROF, FOLDED);
	assert_kept(&p, OTLP, FOLDED);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pprof_and_otlp_keep_what_any_format_says),
		cmocka_unit_test(pprof_and_otlp_hold_the_same),
		cmocka_unit_test(what_is_left_stays),
		cmocka_unit_test(folded_kinds_survive_pprof_and_otlp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
