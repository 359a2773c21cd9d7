/* SPDX-License-Identifier: Apache-2.0 */
/* Each case filters one small profile in both ways, in place and as a view
 * of its call tree; they must agree with each other and with what pprof does
 * (tests/e2e/filter_oracle.py asks it about real profiles). */
#include "unit.h"

#include "model/calltree.h"
#include "model/filter_profile.h"
#include "model/filter_tag.h"

#include <errno.h>

/* "name", "name@file", "name@file@module", "+name": inlined, "@@module": no function */
static struct frame_id frame_of(struct dict *d, const char *text, size_t size)
{
	char parts[3][32] = { "" };
	struct frame frame = { .kind = FRAME_USER, .flags = *text == '+' ? FRAME_INLINED : 0 };
	size_t at = 0, part = 0;
	for (size_t i = frame.flags ? 1 : 0; i < size; i++) {
		if (text[i] == '@') {
			part++;
			at = 0;
		} else {
			parts[part][at++] = text[i];
		}
	}
	struct function function = { 0 };
	struct mapping mapping = { 0 };
	assert_int_equal(strtab_intern_str(&d->strings, parts[0], &function.name), 0);
	assert_int_equal(strtab_intern_str(&d->strings, parts[1], &function.file), 0);
	assert_int_equal(strtab_intern_str(&d->strings, parts[2], &mapping.path), 0);
	if (parts[0][0])
		assert_int_equal(dict_function(d, &function, &frame.function), 0);
	if (parts[2][0])
		assert_int_equal(dict_mapping(d, &mapping, &frame.mapping), 0);
	struct frame_id id;
	assert_int_equal(dict_frame(d, &frame, &id), 0);
	return id;
}

/* "main;a;b" root first, labels "key=text key#7unit". */
static void add(struct profile *p, const char *stack, const char *labels, int64_t value)
{
	struct node_id node = { 0 };
	while (*stack) {
		size_t n = strcspn(stack, ";");
		assert_int_equal(dict_node(&p->dict, node, frame_of(&p->dict, stack, n), &node), 0);
		stack += n + (stack[n] == ';');
	}
	struct label set[8];
	uint32_t n_labels = 0;
	while (*labels) {
		size_t n = strcspn(labels, " "), key = strcspn(labels, "=#");
		struct label *l = &set[n_labels++];
		*l = (struct label){ .is_num = labels[key] == '#' };
		assert_int_equal(strtab_intern(&p->dict.strings, slice_of(labels, key), &l->key), 0);
		struct slice text = slice_of(labels + key + 1, n - key - 1);
		if (l->is_num) {
			char *unit;
			l->num = strtoll(labels + key + 1, &unit, 10);
			text = slice_of(unit, (size_t)(labels + n - unit));
		}
		assert_int_equal(strtab_intern(&p->dict.strings, text, l->is_num ? &l->unit : &l->str), 0);
		labels += n + (labels[n] == ' ');
	}
	struct labels_id id;
	assert_int_equal(profile_labels(p, set, n_labels, &id), 0);
	assert_int_equal(profile_add_sample(p, node, id, &value), 0);
}

static void start(struct profile *p)
{
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
}

/* "focus=RE", as in a URL; terms stand apart by a blank. */
static struct filter *filter_of(const char *terms)
{
	struct filter *f = filter_new();
	assert_non_null(f);
	while (*terms) {
		size_t n = strcspn(terms, " "), name = strcspn(terms, "=");
		struct error err;
		int kind = 0;
		while (strlen(filter_kind_name((enum filter_kind)kind)) != name ||
		       memcmp(filter_kind_name((enum filter_kind)kind), terms, name) != 0)
			assert_true(++kind < N_FILTER_KINDS);
		struct slice text = slice_of(terms + name + 1, n - name - 1);
		if (filter_add(f, (enum filter_kind)kind, text, &err) < 0)
			fail_msg("%s: %s", terms, err.text);
		terms += n + (terms[n] == ' ');
	}
	return f;
}

static void print_stack(const struct dict *d, uint32_t node, struct buf *out)
{
	uint32_t path[64], n = 0;
	for (; node; node = d->node_parent.data[node].v)
		path[n++] = node;
	while (n--) {
		struct frame_id frame = d->node_frame.data[path[n]];
		char made_up[FRAME_NAME_SIZE];
		struct slice name = dict_frame_name(d, frame, made_up);
		buf_printf(out, "%s%.*s%s", d->frames.data[frame.v].flags & FRAME_INLINED ? "+" : "", SLICE_FMT(name),
			   n ? ";" : "");
	}
}

static void print_profile(const struct profile *p, struct buf *out)
{
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		buf_add_str(out, i ? ", " : "");
		print_stack(&p->dict, p->node.data[i].v, out);
		buf_printf(out, " %d", (int)p->value[0].data[i]);
	}
	buf_add_byte(out, 0);
}

static void print_tree(const struct profile *p, const uint8_t *node, const uint8_t *keep, struct buf *out)
{
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		if (!keep || keep[p->labels.data[i].v])
			self[p->node.data[i].v] += p->value[0].data[i];
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(calltree_done)
	struct calltree t;
	struct calltree_view view = { .node = node };
	assert_int_equal(calltree_add(b, &p->dict, self, slice_str(""), &view), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	for (uint32_t i = 0; i < t.n; i++)
		buf_printf(out, "%u %.*s %d %d\n", t.depth[i], SLICE_FMT(calltree_name(&t, i)), (int)t.self[i],
			   (int)t.total[i]);
	buf_add_byte(out, 0);
}

/* Filters both ways and compares with `want`. */
static void check(struct profile *p, const char *terms, const char *want)
{
	_cleanup_(filter_free)
	struct filter *f = filter_of(terms);
	_cleanup_(buf_done)
	struct buf view = buf_of(1 << 20), got = buf_of(1 << 20), tree = buf_of(1 << 20);
	uint8_t node[64] = { 0 }, keep[64];
	struct filter_failure failure;
	assert_true(dict_n_nodes(&p->dict) <= 64 && p->labels_off.n <= 64);
	memset(keep, 1, sizeof(keep));
	if (filter_has_frame_terms(f))
		assert_int_equal(filter_nodes(f, &p->dict, NULL, NULL, node, NULL, &failure), 0);
	assert_int_equal(filter_label_sets(f, p, NULL, keep, &failure), 0);
	print_tree(p, node, keep, &view);
	assert_int_equal(filter_profile(f, p, &failure), 0);
	print_profile(p, &got);
	if (strcmp((char *)got.data, want) != 0)
		fail_msg("%s:\n  got  %s\n  want %s", terms, (char *)got.data, want);
	print_tree(p, NULL, NULL, &tree);
	assert_string_equal((char *)view.data, (char *)tree.data);
	buf_done(&got);
	buf_done(&tree);
}

static void frames(void **state)
{
	(void)state;
	static const struct {
		const char *terms, *want;
	} rows[] = {
		{ "focus=^b$", "main;a;b 1, main;b 4" },
		{ "focus=^b$ focus=^a$", "main;a;b 1" },
		{ "focus=nobody", "" },
		{ "ignore=^a$", "main;b 4, thread 8" },
		{ "ignore=^a$ ignore=thread", "main;b 4" },
		{ "focus=main ignore=^b$", "main;a 2" },
		{ "hide=^a$", "main;b 1, main 2, main;b 4, thread 8" },
		{ "hide=thread|^b$", "main;a 1, main;a 2, main 4" },
		{ "hide=^a$ hide=^b$", "main 1, main 2, main 4, thread 8" },
		{ "show=^b$", "b 1, b 4" },
		{ "show=^b$ show=main", "main;b 1, main 2, main;b 4" },
		{ "show=a hide=main", "a 1, a 2, thread 8" },
		{ "show_from=^a$", "a;b 1, a 2" },
		{ "show_from=^b$ show_from=^a$", "a;b 1, a 2, b 4" },
		/* What hide took away neither starts a stack nor counts as a match. */
		{ "hide=^a$ show_from=^a$", "" },
		{ "focus=^a$ hide=^a$", "main;b 1, main 2" },
		{ "hide=.", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct profile p;
		start(&p);
		add(&p, "main;a;b", "", 1);
		add(&p, "main;a", "", 2);
		add(&p, "main;b", "", 4);
		add(&p, "thread", "", 8);
		/* A sample without a stack has no frame to be kept by. */
		add(&p, "", "", 16);
		check(&p, rows[i].terms, rows[i].want);
		profile_done(&p);
	}
}

/* The first match from the root counts, however often the frame comes back. */
static void show_from_takes_the_highest_match(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "show_from=A", "A;B;C;B 1" },
		{ "show_from=B", "B;C;B 1" },
		{ "show_from=C", "C;B 1" },
		{ "show_from=D", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct profile p;
		start(&p);
		add(&p, "A;B;C;B", "", 1);
		check(&p, rows[i][0], rows[i][1]);
		profile_done(&p);
	}
}

static void names_files_and_mappings_match(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "focus=x[.]c$", "main;f 1" },
		{ "focus=libz", "main;g 2, main;[libz.so] 4" },
		{ "hide=libz", "main;f 1, main 2, main 4" },
		/* Without a function only the mapping can match. */
		{ "show=main", "main 1, main 2, main 4" },
		{ "ignore=^$", "main;f 1, main;[libz.so] 4" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct profile p;
		start(&p);
		add(&p, "main@main.c;f@x.c@app", "", 1);
		add(&p, "main@main.c;g@@/lib/libz.so", "", 2);
		add(&p, "main@main.c;@@/lib/libz.so", "", 4);
		check(&p, rows[i][0], rows[i][1]);
		profile_done(&p);
	}
}

/* What is inlined shows on its own; left alone it is the location's function. */
static void inlined_frames_stand_for_themselves(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "hide=outer", "main;inner;+innermost 1" },
		{ "hide=inner$", "main;outer;+innermost 1" },
		{ "hide=inner", "main;outer 1" },
		{ "show=innermost", "innermost 1" },
		{ "show_from=inner$", "inner;+innermost 1" },
		{ "focus=innermost", "main;outer;+inner;+innermost 1" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct profile p;
		start(&p);
		add(&p, "main;outer;+inner;+innermost", "", 1);
		check(&p, rows[i][0], rows[i][1]);
		profile_done(&p);
	}
}

static void tags(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "tag=user=^(ann|bob)$", "f 1, f 2" },
		{ "tag=user=ann,eve", "f 1, f 4" },
		{ "tag=user:bob", "f 2" },
		{ "tag=bob,west", "f 2" },
		{ "tag=ann,west", "" },
		{ "tag=user=", "f 1, f 2, f 4" },
		{ "tag=user=a tag=zone=east", "f 1" },
		{ "tag_ignore=user=ann", "f 2, f 4, f 8, f 16, f 32, f 64" },
		{ "tag_ignore=user=. tag_ignore=size=1kb:", "f 16, f 64" },
		{ "tag=size=1kb", "f 8" },
		{ "tag=size=:1kb", "f 8, f 16" },
		{ "tag=size=1kb:2MB", "f 8, f 32" },
		{ "tag=size=0.5kb", "" },
		{ "tag=2", "f 32" },
		{ "tag=wait=1ms:", "f 64" },
		{ "tag=wait=:999us", "" },
		{ "tag=100:600", "f 16" },
		{ "tag=+1024", "f 8" },
		{ "tag=-5:1", "f 8" },
		/* Bytes are no time, and a text is no number. */
		{ "tag=size=1s:", "" },
		{ "tag=user=7", "" },
		{ "tag=5apples", "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct profile p;
		start(&p);
		add(&p, "f", "user=ann zone=east", 1);
		add(&p, "f", "user=bob zone=west", 2);
		add(&p, "f", "user=eve7", 4);
		add(&p, "f", "size#1024bytes n#1", 8);
		add(&p, "f", "size#512byte", 16);
		add(&p, "f", "size#2megabytes", 32);
		add(&p, "f", "wait#1000microseconds", 64);
		check(&p, rows[i][0], rows[i][1]);
		profile_done(&p);
	}
}

/* Old profiles say no unit where the label's name says it. */
static void labels_without_a_unit(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{ "tag=bytes=1kb:", "f 1" }, { "tag=request=4kb", "f 2" }, { "tag=id=1kb:", "" },
		{ "tag=id=5000", "f 4" },    { "tag=bytes=2048", "f 1" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct profile p;
		start(&p);
		add(&p, "f", "bytes#2048", 1);
		add(&p, "f", "request#4096", 2);
		add(&p, "f", "id#5000", 4);
		check(&p, rows[i][0], rows[i][1]);
		profile_done(&p);
	}
}

static void bad_terms_are_explained(void **state)
{
	(void)state;
	static const struct {
		enum filter_kind kind;
		const char *text, *want;
	} rows[] = {
		{ FILTER_FOCUS, "(foo", "at character 5: missing closing parenthesis" },
		{ FILTER_HIDE, "", "the pattern is empty" },
		{ FILTER_TAG, "", "the pattern is empty" },
		{ FILTER_TAG, "user=(", "behind \"=\": at character 2: missing closing parenthesis" },
		{ FILTER_TAG, "a,(", "pattern 2: at character 2: missing closing parenthesis" },
		{ FILTER_TAG, "10mb:20s", "the ends of the range have different kinds of unit" },
		{ FILTER_TAG, "10:20mb", "the ends of the range have different kinds of unit" },
		{ FILTER_TAG, "size=20mb:10mb", "behind \"=\": the range ends before it begins" },
		{ FILTER_TAG, "99999999999999999999", "the range has a number beyond 64 bits" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(filter_free)
		struct filter *f = filter_new();
		struct error err = { "" };
		assert_int_equal(filter_add(f, rows[i].kind, slice_str(rows[i].text), &err), -EINVAL);
		assert_string_equal(err.text, rows[i].want);
		assert_false(filter_has_frame_terms(f) || filter_has_label_terms(f));
	}
	_cleanup_(filter_free)
	struct filter *f = filter_new();
	struct error err;
	for (int i = 0; i < FILTER_MAX_TERMS; i++)
		assert_int_equal(filter_add(f, FILTER_FOCUS, slice_str("x"), &err), 0);
	assert_int_equal(filter_add(f, FILTER_TAG, slice_str("x"), &err), -E2BIG);
	assert_string_equal(err.text, "more than 16 filter terms");
}

/* A sample that stays keeps its own time, not that of one that goes. */
static void times_stay_with_their_samples(void **state)
{
	(void)state;
	struct profile p;
	struct filter_failure failure;
	_cleanup_(filter_free)
	struct filter *f = filter_of("focus=^b$");
	start(&p);
	add(&p, "main;a", "", 1);
	add(&p, "main;b", "", 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(profile_add_sample_at(&p, p.node.data[i], p.labels.data[i], (int64_t[]){ 4 }, 70 + i),
				 0);
	assert_int_equal(filter_profile(f, &p, &failure), 0);
	assert_int_equal(profile_n_samples(&p), 2);
	assert_int_equal(p.sample_time_ns.n, 2);
	assert_int_equal(profile_sample_time(&p, 0), 0);
	assert_int_equal(profile_sample_time(&p, 1), 71);
	profile_done(&p);
}

/* Too much work is an error that names the term and the frame; the profile
 * stays as it was. Memory that a server does not have is one, too. */
static void work_and_memory_are_bounded(void **state)
{
	(void)state;
	struct profile p;
	start(&p);
	add(&p, "main;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "user=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", 1);
	struct filter_failure failure;
	static const char *const terms[] = { "focus=main hide=^(a+)+$", "hide=main tag=user=^(a+)+$" };
	for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
		_cleanup_(filter_free)
		struct filter *f = filter_of(terms[i]);
		assert_int_equal(filter_profile(f, &p, &failure), -E2BIG);
		assert_int_equal(failure.kind, i ? FILTER_TAG : FILTER_HIDE);
		assert_string_equal(failure.why.text,
				    "the pattern needs too much work on \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"");
		assert_int_equal(profile_n_samples(&p), 1);
	}
	struct membudget budget = membudget_of(1 << 20);
	uint8_t node[8], keep[8] = { 1, 1 };
	_cleanup_(filter_free)
	struct filter *f = filter_of("focus=main tag=user");
	assert_int_equal(filter_nodes(f, &p.dict, NULL, &budget, node, NULL, &failure), -ENOBUFS);
	assert_int_equal(filter_label_sets(f, &p, &budget, keep, &failure), -ENOBUFS);
	assert_int_equal(budget.used, 0);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(show_from_takes_the_highest_match),
		cmocka_unit_test(names_files_and_mappings_match),
		cmocka_unit_test(inlined_frames_stand_for_themselves),
		cmocka_unit_test(tags),
		cmocka_unit_test(labels_without_a_unit),
		cmocka_unit_test(bad_terms_are_explained),
		cmocka_unit_test(times_stay_with_their_samples),
		cmocka_unit_test(work_and_memory_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
