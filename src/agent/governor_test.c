/* SPDX-License-Identifier: Apache-2.0 */
/* The governor beside simulated agents, whose cost has a fixed part, a part
 * that grows with the rate, and bursts. */
#include "agent/governor.h"
#include "unit.h"

#include <math.h>
#include <string.h>

#define SECOND 1000000000ll
#define MIB    ((uint64_t)1 << 20)

static const struct governor_budget budget = { .cpu = 0.01, .memory = 10 * MIB, .rate_hz = 100 };

struct plant {
	double fixed;	   /* of a core */
	double per_sample; /* seconds of CPU, all CPUs together */
	uint64_t memory;
	struct governor g;
	struct governor_input in;
	const char *why; /* of the last change */
	uint32_t n_changes;
};

static void begin(struct plant *p, double fixed, double per_sample)
{
	*p = (struct plant){ .fixed = fixed, .per_sample = per_sample, .memory = 5 * MIB };
	p->in.now_ns = 1000 * SECOND;
	governor_init(&p->g, &budget);
	(void)governor_step(&p->g, &p->in, &p->why);
}

/* One second, in which `burst` seconds of CPU are used beside the usual. */
static void second(struct plant *p, double burst)
{
	double cpu = p->fixed + p->per_sample * p->g.state.rate_hz + burst;
	p->in.now_ns += SECOND;
	p->in.cpu_ns += (uint64_t)(cpu * SECOND);
	p->in.memory = p->memory;
	p->n_changes += governor_step(&p->g, &p->in, &p->why);
}

static double mean_cost(struct plant *p, int seconds)
{
	uint64_t before = p->in.cpu_ns;
	for (int i = 0; i < seconds; i++)
		second(p, 0);
	return (double)(p->in.cpu_ns - before) / SECOND / seconds;
}

static void within_the_budget_nothing_changes(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00005);
	assert_true(mean_cost(&p, 600) < 0.01);
	assert_int_equal(p.n_changes, 0);
	assert_int_equal(p.g.state.rate_hz, 100);
}

/* A machine of many CPUs: 100 Hz would be 8 % of a core. */
static void a_load_that_stays_is_brought_inside(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.0008);
	(void)mean_cost(&p, 120);
	double cost = mean_cost(&p, 600);
	assert_true(cost <= 0.0105);
	/* And not far below it: samples are what the budget is for. */
	assert_true(cost > 0.006);
	assert_true(p.g.state.rate_hz >= 5);
	assert_int_equal(p.g.state.feature, FEATURE_ALL);
}

static void a_burst_is_ridden_out(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00005);
	(void)mean_cost(&p, 60);
	/* A large unwind table, a batch of new processes: 0.11 s in three seconds. */
	second(&p, 0.03);
	second(&p, 0.05);
	second(&p, 0.03);
	for (int i = 0; i < 60; i++)
		second(&p, i % 20 == 0 ? 0.02 : 0);
	assert_int_equal(p.g.state.rate_hz, 100);
	assert_int_equal(p.n_changes, 0);
}

static void an_emergency_halves_at_once_and_is_over_soon(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00005);
	second(&p, 0.20);
	assert_int_equal(p.g.state.rate_hz, 50);
	assert_non_null(strstr(p.why, "emergency"));
	second(&p, 0.20);
	second(&p, 0.20);
	assert_true(p.g.state.rate_hz <= 25);
	int seconds = 0;
	while (p.g.state.rate_hz < 100 && seconds < 300) {
		second(&p, 0);
		seconds++;
	}
	/* Until what was used too much is paid back, and then up in few steps. */
	assert_true(seconds < 120);
}

/* Every binary of a busy machine has to be read once. */
static void a_start_is_ridden_out(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00003);
	for (int i = 0; i < 35; i++) {
		second(&p, 0.028);
		assert_true(p.g.state.rate_hz >= 25);
	}
	int seconds = 0;
	while (p.g.state.rate_hz < 100 && seconds < 300) {
		second(&p, 0);
		seconds++;
	}
	assert_true(seconds < 90);
}

/* The other way round: spiky loads must not end at the lowest rate. */
static void spikes_do_not_starve_sampling(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00004);
	double rates = 0;
	for (int i = 0; i < 1200; i++) {
		second(&p, i % 30 < 2 ? 0.03 : 0);
		rates += p.g.state.rate_hz;
	}
	assert_true(rates / 1200 > 70);
}

static void what_sampling_does_not_cause_costs_features(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.02, 0.00001);
	(void)mean_cost(&p, 300);
	assert_int_equal(p.g.state.rate_hz, 1);
	assert_int_equal(p.g.state.feature, FEATURE_LEAVES);
	p.fixed = 0.001;
	(void)mean_cost(&p, 300);
	assert_int_equal(p.g.state.rate_hz, 100);
	assert_int_equal(p.g.state.feature, FEATURE_ALL);
}

static void memory_is_relieved_step_by_step(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00005);
	p.memory = 11 * MIB;
	second(&p, 0);
	assert_int_equal(p.g.state.relief, 1);
	assert_non_null(strstr(p.why, "memory"));
	second(&p, 0); /* it had no time to work */
	assert_int_equal(p.g.state.relief, 1);
	(void)mean_cost(&p, 60);
	assert_int_equal(p.g.state.relief, RELIEF_MAX);
	p.memory = 9 * MIB; /* not enough to let go */
	(void)mean_cost(&p, 200);
	assert_int_equal(p.g.state.relief, RELIEF_MAX);
	p.memory = 6 * MIB;
	(void)mean_cost(&p, 300);
	assert_int_equal(p.g.state.relief, 0);
	assert_int_equal(p.g.state.rate_hz, 100);
}

/* A machine that slept, or an agent that got no CPU for a while. */
static void steps_may_come_late(void **state)
{
	(void)state;
	struct plant p;
	begin(&p, 0.001, 0.00005);
	for (int i = 0; i < 50; i++) {
		p.in.now_ns += 60 * SECOND;
		p.in.cpu_ns += SECOND / 5;
		assert_false(governor_step(&p.g, &p.in, &p.why));
	}
	p.in.now_ns += SECOND / 10;
	p.in.cpu_ns += SECOND;
	assert_false(governor_step(&p.g, &p.in, &p.why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(within_the_budget_nothing_changes),
		cmocka_unit_test(a_load_that_stays_is_brought_inside),
		cmocka_unit_test(a_burst_is_ridden_out),
		cmocka_unit_test(a_start_is_ridden_out),
		cmocka_unit_test(an_emergency_halves_at_once_and_is_over_soon),
		cmocka_unit_test(spikes_do_not_starve_sampling),
		cmocka_unit_test(what_sampling_does_not_cause_costs_features),
		cmocka_unit_test(memory_is_relieved_step_by_step),
		cmocka_unit_test(steps_may_come_late),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
