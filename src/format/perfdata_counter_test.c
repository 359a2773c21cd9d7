/* SPDX-License-Identifier: Apache-2.0 */
/* Samples that read counters (SAMPLE_READ): whose count they are. */
#include "unit.h"

#include "format/perfdata_wire.h"
#include "format/testperfdata.h"

#define COUNTER_TYPES (SAMPLE_IDENTIFIER | SAMPLE_IP | SAMPLE_TID | SAMPLE_READ)

static void put_counter_attr(struct maker *m, uint64_t config, uint64_t id, uint64_t read_format, uint64_t flags)
{
	size_t at = m->out.n + RECORD_HEADER_SIZE;
	put_attr_record(m, config, COUNTER_TYPES, id);
	patch64(m, at + 32, read_format);
	patch64(m, at + 40, flags);
}

static void put_counter_sample(struct maker *m, uint32_t tid, const uint64_t *read, uint32_t n)
{
	size_t at = begin(m, RECORD_SAMPLE, MISC_USER);
	put64(m, FIRST_ID);
	put64(m, 0x1234);
	put32(m, 7);
	put32(m, tid);
	for (uint32_t i = 0; i < n; i++)
		put64(m, read[i]);
	end(m, at);
}

static int64_t sum_of(const struct profile *p, uint32_t type)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		sum += p->value[type].data[i];
	return sum;
}

/* samples, and the sums of both events */
static void assert_counted(struct maker *m, uint32_t n, int64_t first, int64_t second, uint32_t n_comments)
{
	struct profile p;
	struct error err = { "" };
	if (decode(made(m), NULL, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(profile_n_samples(&p), n);
	assert_int_equal(sum_of(&p, 0), n);
	assert_int_equal(sum_of(&p, 1), first);
	if (p.n_types > 2)
		assert_int_equal(sum_of(&p, 2), second);
	assert_int_equal(p.comments.n, n_comments);
	profile_done(&p);
	buf_done(&m->out);
}

/* {a,b}:S samples the leader and reads both: each is a sample of what it has
 * counted since, and none where it has stood still. */
static void members_of_a_group_are_samples(void **state)
{
	(void)state;
	static const uint64_t reads[][7] = {
		{ 2, 500, 10, FIRST_ID, 3, SECOND_ID, 0 },
		{ 2, 600, 25, FIRST_ID, 3, SECOND_ID, 0 },
		{ 2, 700, 30, FIRST_ID, 9, SECOND_ID, 0 },
		{ 2, 800, 31, FIRST_ID, 4, 99, 0 }, /* no event's */
	};
	uint64_t format = READ_GROUP | READ_ID | READ_TIME_ENABLED;
	struct maker m = { .out = buf_of(1 << 20) };
	buf_add(&m.out, "PERFILE2", 8);
	put64(&m, 16);
	put_counter_attr(&m, 0, FIRST_ID, format, ATTR_SAMPLE_ID_ALL);
	put_counter_attr(&m, 2, SECOND_ID, format, ATTR_SAMPLE_ID_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
		put_counter_sample(&m, 7, reads[i], 6);
	assert_counted(&m, 6, 31, 9, 1);
}

/* Threads that inherit a counter have one each. */
static void counters_are_read_by_thread(void **state)
{
	(void)state;
	static const uint64_t reads[][3] = {
		{ 10, FIRST_ID, 0 }, { 4, FIRST_ID, 0 }, { 15, FIRST_ID, 0 }, { 4, FIRST_ID, 0 }
	};
	struct maker m = { .out = buf_of(1 << 20) };
	buf_add(&m.out, "PERFILE2", 8);
	put64(&m, 16);
	put_counter_attr(&m, 0, FIRST_ID, READ_ID | READ_LOST, ATTR_SAMPLE_ID_ALL | ATTR_INHERIT);
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
		put_counter_sample(&m, i % 2 ? 8 : 7, reads[i], 3);
	assert_counted(&m, 3, 19, 0, 0);
}

/* Nobody knows whose values without ids are: the leader's period stays. */
static void values_without_ids_are_not_split_up(void **state)
{
	(void)state;
	static const uint64_t read[] = { 2, 10, 3 };
	struct maker m = { .out = buf_of(1 << 20) };
	buf_add(&m.out, "PERFILE2", 8);
	put64(&m, 16);
	put_counter_attr(&m, 0, FIRST_ID, READ_GROUP, ATTR_SAMPLE_ID_ALL);
	put_counter_attr(&m, 2, SECOND_ID, READ_GROUP, ATTR_SAMPLE_ID_ALL);
	put_counter_sample(&m, 7, read, 3);
	assert_counted(&m, 1, 999, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_of_a_group_are_samples),
		cmocka_unit_test(counters_are_read_by_thread),
		cmocka_unit_test(values_without_ids_are_not_split_up),
	};
	return cmocka_run_group_tests_name("perfdata_counter", tests, NULL, NULL);
}
