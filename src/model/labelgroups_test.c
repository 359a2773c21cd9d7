/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/labelgroups.h"

#include <errno.h>

static struct str_id word(struct profile *p, const char *text)
{
	struct str_id id;
	assert_int_equal(strtab_intern_str(&p->dict.strings, text, &id), 0);
	return id;
}

static void sample(struct profile *p, struct label *set, uint32_t n, int64_t value)
{
	struct labels_id labels;
	struct frame_id frame;
	struct node_id node;
	assert_int_equal(dict_named_frame(&p->dict, slice_str("f"), FRAME_USER, &frame), 0);
	assert_int_equal(dict_node(&p->dict, (struct node_id){ 0 }, frame, &node), 0);
	assert_int_equal(profile_labels(p, set, n, &labels), 0);
	assert_int_equal(profile_add_sample(p, node, labels, &value), 0);
}

static void make_profile(struct profile *p)
{
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
}

static void assert_first_level(const struct calltree *t, const char *expected)
{
	char text[1024] = "";
	size_t n = 0;
	for (uint32_t i = 1; i < t->n; i = t->end[i])
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%lld ", (const char *)calltree_name(t, i).data,
				      (long long)t->total[i]);
	assert_string_equal(text, expected);
}

/* Numbers, several values and none at all are values, too. */
static void every_sample_is_in_a_group(void **state)
{
	(void)state;
	struct profile p;
	make_profile(&p);
	struct label text = { .key = word(&p, "k"), .str = word(&p, "a") };
	struct label both[2] = { text, { .key = word(&p, "k"), .str = word(&p, "b") } };
	struct label number = { .key = word(&p, "k"), .is_num = 1, .num = 512, .unit = word(&p, "bytes") };
	struct label other = { .key = word(&p, "other"), .str = word(&p, "a") };
	sample(&p, &text, 1, 10);
	sample(&p, both, 2, 5);
	sample(&p, &number, 1, 4);
	sample(&p, &other, 1, 2);
	sample(&p, NULL, 0, 1);
	struct labelgroups g;
	_cleanup_(calltree_done)
	struct calltree t;
	struct error err;
	assert_int_equal(labelgroups_init(&p, 0, "k", &g, &err), 0);
	assert_int_equal(g.n, 4);
	assert_int_equal(labelgroups_tree(&g, &p, 0, "(none)", NULL, &t), 0);
	assert_first_level(&t, "a=10 a, b=5 512 bytes=4 (none)=3 ");
	labelgroups_done(&g);
	assert_int_equal(labelgroups_init(&p, 0, "absent", &g, &err), -ENOENT);
	assert_string_equal(err.text, "no sample has a label \"absent\"; there are: k, other");
	profile_done(&p);
}

/* A label with a value per request must not cost a walk per request. */
static void light_values_share_a_group(void **state)
{
	(void)state;
	struct profile p;
	make_profile(&p);
	int64_t total = 0;
	for (int i = 1; i <= 1000; i++) {
		struct label id = { .key = word(&p, "id"), .is_num = 1, .num = i };
		sample(&p, &id, 1, i);
		total += i;
	}
	struct labelgroups g;
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(labelgroups_init(&p, 0, "id", &g, NULL), 0);
	assert_int_equal(g.n, LABELGROUPS_MAX);
	assert_int_equal(g.n_others, 1000 - (LABELGROUPS_MAX - 1));
	assert_int_equal(labelgroups_tree(&g, &p, 0, "", NULL, &t), 0);
	assert_int_equal(t.total[0], total);
	assert_string_equal((const char *)calltree_name(&t, 1).data, "(937 others)");
	assert_int_equal(t.total[t.end[1]], 1000);
	labelgroups_done(&g);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sample_is_in_a_group),
		cmocka_unit_test(light_values_share_a_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
