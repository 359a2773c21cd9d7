/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a kind (first letter: its place in filter.def, from 'a') and its
 * text make a filter; it either says why not or filters a small profile. What
 * is left is part of what was there. */
#include "model/filter_profile.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct profile *p, const char *const *names, uint32_t depth, int64_t number, const char *text)
{
	struct node_id node = { 0 };
	int r = 0;
	for (uint32_t i = 0; i < depth; i++) {
		struct frame_id frame;
		r |= dict_named_frame(&p->dict, slice_str(names[i]), FRAME_USER, &frame);
		r |= dict_node(&p->dict, node, frame, &node);
	}
	struct label set[2] = { { .is_num = 1, .num = number } };
	r |= strtab_intern_str(&p->dict.strings, "size", &set[0].key);
	r |= strtab_intern_str(&p->dict.strings, "bytes", &set[0].unit);
	r |= strtab_intern_str(&p->dict.strings, "user", &set[1].key);
	r |= strtab_intern_str(&p->dict.strings, text, &set[1].str);
	struct labels_id labels;
	r |= profile_labels(p, set, 2, &labels);
	r |= profile_add_sample(p, node, labels, &number);
	assert(r == 0);
}

static void filter_small_profile(const struct filter *f)
{
	static const char *const names[] = { "main", "aaaaaaaaaaaaaaaaaaaaaaaa!", "\xff\xc3", "std::vector<int>" };
	struct profile p;
	int r = profile_init(&p, NULL);
	assert(r == 0);
	r = profile_add_type(&p, slice_str("samples"), slice_str("count"));
	assert(r == 0);
	for (uint32_t depth = 0; depth <= ARRAY_SIZE(names); depth++)
		add(&p, names, depth, 1 << depth, depth % 2 ? "ann" : "\xff");
	struct filter_failure failure = { .why = { "" } };
	r = filter_profile(f, &p, &failure);
	assert(r == 0 || (r == -E2BIG && failure.why.text[0]));
	int64_t left = 0;
	for (uint32_t i = 0; i < profile_n_samples(&p); i++) {
		assert(p.node.data[i].v < dict_n_nodes(&p.dict));
		assert(i == 0 || p.value[0].data[i] > p.value[0].data[i - 1]);
		left += p.value[0].data[i];
	}
	assert(left <= 31);
	profile_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(filter_free)
	struct filter *f = filter_new();
	if (!f)
		return 0;
	while (size) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t n = newline ? (size_t)(newline - data) : size;
		struct error err = { "" };
		if (n && data[0] >= 'a' && data[0] < 'a' + N_FILTER_KINDS &&
		    filter_add(f, (enum filter_kind)(data[0] - 'a'), slice_of(data + 1, n - 1), &err) < 0)
			assert(err.text[0]);
		data += newline ? n + 1 : n;
		size -= newline ? n + 1 : n;
	}
	filter_small_profile(f);
	return 0;
}
