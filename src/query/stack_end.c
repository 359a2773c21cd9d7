/* SPDX-License-Identifier: Apache-2.0 */
#include "query/stack_end.h"

#include "query/select.h"

static const struct {
	const char *name, *text;
} reasons[N_STACK_ENDED] = {
#define STACK_END(id, name, text) [STACK_ENDED_##id] = { name, text },
#include "bpf/stack_end.def"
#undef STACK_END
	[STACK_ENDED_OTHERWISE] = { "", "a reason this server has not heard of" },
};

const char *stack_ended_name(enum stack_ended e)
{
	return reasons[e].name;
}

const char *stack_ended_text(enum stack_ended e)
{
	return reasons[e].text;
}

static enum stack_ended end_of_name(struct slice name)
{
	for (int e = STACK_NOT_ENDED + 1; e < STACK_ENDED_OTHERWISE; e++)
		if (slice_eq(name, slice_str(reasons[e].name)))
			return (enum stack_ended)e;
	return STACK_ENDED_OTHERWISE;
}

static enum stack_ended end_of_set(const struct part *p, uint32_t set)
{
	const struct label *label = label_find(p, set, slice_str("stack_end"));
	if (!label)
		return STACK_NOT_ENDED;
	return end_of_name(label->is_num ? slice_str("") : part_string(p, label->str));
}

int stack_ends_init(struct stack_ends *ret, const struct part *p, struct membudget *budget)
{
	*ret = (struct stack_ends){ .budget = budget };
	uint32_t n_sets = part_n_label_sets(p);
	int r = vec_reserve(budget, &ret->of_set, n_sets);
	if (r < 0)
		return r;
	for (; ret->of_set.n < n_sets; ret->of_set.n++)
		ret->of_set.data[ret->of_set.n] = (uint8_t)end_of_set(p, ret->of_set.n);
	return 0;
}

void stack_ends_done(struct stack_ends *e)
{
	vec_done(e->budget, &e->of_set);
}
