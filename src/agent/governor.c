/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/governor.h"

#include <stddef.h>

#define SECOND	       1000000000ll
#define STEP_MIN_NS    (SECOND / 2)
#define CREDIT_S       60.0 /* seconds of the budget */
#define DEBT_S	       10.0
#define SMOOTHING_S    10.0
#define EMERGENCY      0.05 /* of one core */
#define HOLD_NS	       (10 * SECOND)
#define LOWER_NS       (5 * SECOND) /* between two steps down, so that the first shows in what is used */
#define RATE_MIN_HZ    1
#define RELIEF_NS      (5 * SECOND)  /* between two steps down */
#define RECOVERY_NS    (60 * SECOND) /* before one up */
#define MEMORY_IS_HIGH 0.95
#define MEMORY_IS_LOW  0.85

void governor_init(struct governor *g, const struct governor_budget *budget)
{
	*g = (struct governor){ .budget = *budget };
	g->state.rate_hz = budget->rate_hz;
	g->credit_s = CREDIT_S * budget->cpu;
}

static double clamp(double v, double min, double max)
{
	return v < min ? min : v > max ? max : v;
}

static void set_rate(struct governor *g, double hz)
{
	g->state.rate_hz = (uint32_t)clamp(hz, RATE_MIN_HZ, g->budget.rate_hz);
}

/* The rate that the last ten seconds can afford, at most halved in one step:
 * what they show may be a burst that is over. */
static const char *lower(struct governor *g)
{
	uint32_t before = g->state.rate_hz;
	set_rate(g, before * clamp(g->budget.cpu / g->used, 0.5, 0.9));
	if (g->state.rate_hz < before)
		return "more CPU time than the budget allows";
	if (g->state.feature == FEATURE_LEAVES)
		return NULL;
	g->state.feature++;
	return "more CPU time than the budget allows, at the lowest rate";
}

/* What was used, were the rate `hz`: taken to grow with it, which is more than it does. */
static bool would_fit(const struct governor *g, double hz)
{
	return g->used * hz / g->state.rate_hz <= g->budget.cpu * 0.9;
}

static const char *raise(struct governor *g)
{
	static const char why[] = "the budget allows more again";
	if (g->state.feature != FEATURE_ALL) {
		if (g->used > g->budget.cpu / 2)
			return NULL;
		g->state.feature--;
		return why;
	}
	if (g->state.rate_hz == g->budget.rate_hz)
		return NULL;
	double hz = g->budget.rate_hz;
	while (hz > g->state.rate_hz && !would_fit(g, hz))
		hz = (uint32_t)(hz * 0.8);
	/* A part of the cost does not depend on the rate: with room left, a step is tried. */
	if (hz <= g->state.rate_hz && g->used < g->budget.cpu * 0.8)
		hz = 1 + (uint32_t)(g->state.rate_hz * 1.2);
	if (hz <= g->state.rate_hz)
		return NULL;
	set_rate(g, hz);
	return why;
}

static const char *step_cpu(struct governor *g, double used_now, int64_t now_ns)
{
	bool is_emergency = (used_now + g->used_before) / 2 > EMERGENCY;
	g->used_before = used_now;
	if (is_emergency && g->state.rate_hz > RATE_MIN_HZ) {
		set_rate(g, g->state.rate_hz / 2.0);
		g->hold_ns = now_ns + HOLD_NS;
		g->used_before = 0;
		return "emergency: more than 5 % of a core";
	}
	/* Not for a burst that is over: then what is owed is paid back by itself. */
	bool is_over = g->credit_s <= 0 && g->used > g->budget.cpu && used_now > g->budget.cpu;
	if (is_over && now_ns >= g->lower_ns) {
		g->hold_ns = now_ns + HOLD_NS;
		g->lower_ns = now_ns + LOWER_NS;
		return lower(g);
	}
	if (is_over)
		return NULL;
	return now_ns >= g->hold_ns && g->credit_s > 0 ? raise(g) : NULL;
}

static const char *step_memory(struct governor *g, const struct governor_input *in)
{
	int64_t since = in->now_ns - g->relief_ns;
	bool is_low = (double)in->memory < MEMORY_IS_LOW * (double)g->budget.memory;
	bool is_high = (double)in->memory > MEMORY_IS_HIGH * (double)g->budget.memory;
	if (is_high && g->state.relief < RELIEF_MAX && since >= RELIEF_NS) {
		g->state.relief++;
		g->relief_ns = in->now_ns;
		return "nearly all of the memory budget is used";
	}
	if (is_low && g->state.relief > 0 && since >= RECOVERY_NS) {
		g->state.relief--;
		g->relief_ns = in->now_ns;
		return "memory is within the budget again";
	}
	return NULL;
}

bool governor_step(struct governor *g, const struct governor_input *in, const char **ret_why)
{
	if (!g->has_last) {
		g->has_last = true;
		g->last = *in;
		g->relief_ns = in->now_ns - RELIEF_NS;
		return false;
	}
	int64_t elapsed_ns = in->now_ns - g->last.now_ns;
	if (elapsed_ns < STEP_MIN_NS)
		return false;
	double seconds = (double)elapsed_ns / SECOND, cpu_s = (double)(in->cpu_ns - g->last.cpu_ns) / SECOND;
	double used_now = cpu_s / seconds;
	g->last = *in;
	g->credit_s =
		clamp(g->credit_s + seconds * g->budget.cpu - cpu_s, -DEBT_S * g->budget.cpu, CREDIT_S * g->budget.cpu);
	/* exp() would do the same, and libm is half a megabyte resident. */
	g->used += (used_now - g->used) * seconds / (SMOOTHING_S + seconds);
	const char *why = step_cpu(g, used_now, in->now_ns);
	if (!why)
		why = step_memory(g, in);
	if (why)
		*ret_why = why;
	return why != NULL;
}
