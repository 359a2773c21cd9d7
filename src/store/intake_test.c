/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in as OTLP becomes the series it says, and is the same again when
 * the log is read. */
#include "format/otlp.h"
#include "format/pprof.h"
#include "store/intake_otlp.h"
#include "unit.h"

#include <errno.h>

#define BUDGET ((size_t)64 << 20)

static struct slice bytes_of(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

static struct str_id text(struct profile *p, const char *s)
{
	struct str_id id;
	assert_int_equal(strtab_intern_str(&p->dict.strings, s, &id), 0);
	return id;
}

static void start(struct profile *p)
{
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
	assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_int_equal(profile_add_comment(p, slice_str("made for a test")), 0);
	p->time_ns = INT64_C(1700000000000000000);
	p->duration_ns = 10000000000;
}

/* "key=value key=value", and main above `leaf`. */
static void add(struct profile *p, const char *labels, const char *leaf, int64_t n, int64_t cpu, int64_t ms)
{
	struct label set[8];
	uint32_t n_labels = 0;
	char copy[512], *rest = copy, *pair;
	struct labels_id id;
	struct frame_id frame;
	struct node_id node = { 0 };
	(void)snprintf(copy, sizeof(copy), "%s", labels);
	while ((pair = strsep(&rest, " ")) && *pair) {
		char *value = strchr(pair, '=');
		*value++ = 0;
		set[n_labels++] = (struct label){ .key = text(p, pair), .str = text(p, value) };
	}
	assert_int_equal(profile_labels(p, set, n_labels, &id), 0);
	const char *stack[] = { "main", leaf };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(dict_named_frame(&p->dict, slice_str(stack[i]), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(&p->dict, node, frame, &node), 0);
	}
	assert_int_equal(profile_add_sample_at(p, node, id, (int64_t[]){ n, cpu }, ms ? p->time_ns + ms * 1000000 : 0),
			 0);
}

static void split(const struct buf *body, const char *key, struct membudget *budget, struct intake_parts *ret)
{
	struct intake in = { .key = slice_str(key), .received_ms = 1700000005000 };
	struct error err;
	if (intake_split(&in, bytes_of(body), &format_limits_default, budget, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void assert_label(const struct intake_part *part, enum series_label l, const char *want)
{
	assert_string_equal((const char *)part->intake.label[l].data, want);
	assert_int_equal(part->intake.label[l].size, strlen(want));
}

/* One line for each row, sorted: what is stored, whatever the order of ids. */
static int compare_lines(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void print_rows(const struct profile *p, char lines[16][256])
{
	memset(lines, 0, 16 * 256);
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		char name[FRAME_NAME_SIZE];
		struct slice leaf = dict_frame_name(&p->dict, p->dict.node_frame.data[p->node.data[i].v], name);
		uint32_t n;
		const struct label *set = profile_label_set(p, p->labels.data[i], &n);
		int at = snprintf(lines[i], 256, "%.*s @%lld", SLICE_FMT(leaf), (long long)profile_sample_time(p, i));
		for (uint32_t t = 0; t < p->n_types; t++)
			at += snprintf(lines[i] + at, 256 - (size_t)at, " %s=%lld",
				       strtab_cstr(&p->dict.strings, p->types[t].type), (long long)p->value[t].data[i]);
		for (uint32_t k = 0; k < n; k++)
			at += snprintf(lines[i] + at, 256 - (size_t)at, " %s:%s",
				       strtab_cstr(&p->dict.strings, set[k].key),
				       strtab_cstr(&p->dict.strings, set[k].str));
	}
	qsort(lines, 16, 256, compare_lines);
}

/* A restart yields what was acknowledged. */
static void assert_replays(const struct intake_part *part, const struct buf *body)
{
	struct intake_profile again;
	struct error err;
	const struct buf *own = part->body.n ? &part->body : body;
	if (intake_decode(&part->intake, bytes_of(own), &format_limits_default, NULL, &again, &err) < 0)
		fail_msg("%s", err.text);
	char stored[16][256], replayed[16][256];
	print_rows(&part->profile.profile, stored);
	print_rows(&again.profile, replayed);
	for (int i = 0; i < 16; i++)
		assert_string_equal(stored[i], replayed[i]);
	assert_int_equal(again.keep, part->profile.keep);
	assert_int_equal(again.from_ms, part->profile.from_ms);
	assert_int_equal(again.to_ms, part->profile.to_ms);
	assert_int_equal(again.profile.comments.n, part->profile.profile.comments.n);
	intake_profile_done(&again);
}

static void each_service_is_a_profile_of_its_own(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf body = buf_of(1 << 20);
	struct membudget budget = membudget_of(BUDGET);
	struct intake_parts parts;
	struct profile p;
	char lines[16][256];
	start(&p);
	add(&p, "service=shop host=a thread_name=w", "cart", 1, 10, 5);
	add(&p, "service=db host=a", "scan", 2, 0, 6);
	add(&p, "service=shop host=a thread_name=w", "cart", 3, 30, 7);
	add(&p, "service=shop host=b", "cart", 4, 40, 0);
	add(&p, "process.executable.name=nginx container.id=4f k8s.container.name=web host=a", "poll", 5, 50, 8);
	add(&p, "", "idle", 0, 60, 0);
	assert_int_equal(otlp_encode(&p, &body), 0);
	split(&body, "k1", &budget, &parts);
	assert_int_equal(parts.n, 5);
	static const char *const services[] = { "shop", "db", "shop", "unknown_service:nginx", "unknown_service" };
	static const char *const hosts[] = { "a", "a", "b", "a", "" };
	for (uint32_t i = 0; i < parts.n; i++) {
		struct intake_part *part = &parts.data[i];
		assert_int_equal(part->result, 0);
		assert_label(part, SERIES_SERVICE, services[i]);
		assert_label(part, SERIES_HOST, hosts[i]);
		assert_label(part, SERIES_CONTAINER, i == 3 ? "web" : "");
		assert_true(part->intake.key.size > 2 && part->intake.key.size <= INTAKE_KEY_MAX);
		assert_int_equal(part->intake.received_ms, 1700000005000);
		assert_int_equal(part->profile.from_ms, 1700000000000);
		/* Comments count once. */
		assert_int_equal(part->profile.profile.comments.n, i == 0);
		for (uint32_t k = 0; k < i; k++)
			assert_false(slice_eq(part->intake.key, parts.data[k].intake.key));
		assert_replays(part, &body);
	}
	print_rows(&parts.data[0].profile.profile, lines);
	assert_string_equal(lines[14], "cart @1700000000005000000 samples=1 cpu=10 thread_name:w");
	assert_string_equal(lines[15], "cart @1700000000007000000 samples=3 cpu=30 thread_name:w");
	print_rows(&parts.data[1].profile.profile, lines);
	assert_string_equal(lines[15], "scan @1700000000006000000 samples=2");
	print_rows(&parts.data[3].profile.profile, lines);
	assert_non_null(strstr(lines[15], "process.executable.name:nginx"));
	assert_non_null(strstr(lines[15], "container.id:4f"));
	assert_null(strstr(lines[15], "web"));
	/* The same request has the same keys. */
	struct intake_parts again;
	split(&body, "k1", &budget, &again);
	for (uint32_t i = 0; i < parts.n; i++)
		assert_true(slice_eq(parts.data[i].intake.key, again.data[i].intake.key));
	intake_parts_done(&again);
	intake_parts_done(&parts);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

/* What the agent sends: nothing is written anew. */
static void a_single_profile_keeps_its_body_and_key(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(BUDGET);
	for (int n = 0; n < 3; n++) {
		_cleanup_(buf_done)
		struct buf body = buf_of(1 << 20);
		const struct otlp_text resource[] = { { "service.name", slice_str("shop") },
						      { "cloud.availability_zone", slice_str("z1") },
						      { "container.id", slice_str("4f") },
						      { "team", slice_str("blue") } };
		struct intake_parts parts;
		struct profile p;
		char lines[16][256];
		start(&p);
		for (int i = 0; i < n; i++)
			add(&p, i ? "service=shop" : "thread_name=w", "cart", 1 + i, 10, 5);
		assert_int_equal(otlp_encode_resource(&p, resource, ARRAY_SIZE(resource), &body), 0);
		split(&body, "k1", &budget, &parts);
		assert_int_equal(parts.n, 1);
		struct intake_part *part = &parts.data[0];
		assert_int_equal(part->body.n, 0);
		assert_label(part, SERIES_SERVICE, "shop");
		assert_label(part, SERIES_ZONE, "z1");
		assert_label(part, SERIES_CONTAINER, "4f");
		assert_true(slice_eq(part->intake.key, slice_str("k1")));
		assert_int_equal(profile_n_samples(&part->profile.profile), n);
		assert_int_equal(part->profile.profile.comments.n, 1);
		assert_replays(part, &body);
		print_rows(&part->profile.profile, lines);
		if (n)
			assert_non_null(strstr(lines[15], "team:blue"));
		for (int i = 0; i < 16; i++)
			assert_true(!strstr(lines[i], "shop") && !strstr(lines[i], "z1") && !strstr(lines[i], "4f"));
		intake_parts_done(&parts);
		profile_done(&p);
	}
	assert_int_equal(budget.used, 0);
}

/* One that cannot be stored does not take the others with it. */
static void bad_ones_are_told_apart(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf body = buf_of(1 << 20), none = buf_of(10);
	char name[INTAKE_LABEL_MAX + 32];
	struct intake_parts parts;
	struct profile p;
	start(&p);
	/* As long as may be, and with what is put in front of it longer. */
	(void)snprintf(name, sizeof(name), "service=%0*d", INTAKE_LABEL_MAX, 1);
	add(&p, name, "cart", 1, 10, 0);
	(void)snprintf(name, sizeof(name), "process.executable.name=%0*d", INTAKE_LABEL_MAX - 1, 1);
	add(&p, name, "cart", 1, 10, 0);
	add(&p, "service=less", "cart", 1, -10, 0);
	add(&p, "service=good", "cart", 1, 10, 0);
	assert_int_equal(otlp_encode(&p, &body), 0);
	split(&body, "", NULL, &parts);
	assert_int_equal(parts.n, 4);
	assert_int_equal(parts.data[0].result, 0);
	assert_int_equal(parts.data[1].result, -EINVAL);
	assert_string_equal(parts.data[1].error.text, "service has 257 bytes: the limit is 256");
	assert_int_equal(parts.data[2].result, -EPROTONOSUPPORT);
	assert_non_null(strstr(parts.data[2].error.text, "negative"));
	assert_int_equal(parts.data[3].result, 0);
	assert_int_equal(parts.data[3].intake.key.size, 0);
	intake_parts_done(&parts);
	/* An empty request is a request. */
	split(&none, "", NULL, &parts);
	assert_int_equal(parts.n, 0);
	intake_parts_done(&parts);
	profile_done(&p);
}

static void series_have_a_limit(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf body = buf_of(1 << 20);
	struct intake in = { 0 };
	struct intake_parts parts;
	struct profile p;
	struct error err;
	start(&p);
	for (int i = 0; i <= INTAKE_PARTS_MAX; i++) {
		char labels[32];
		(void)snprintf(labels, sizeof(labels), "service=s%d", i);
		add(&p, labels, "cart", 1, 10, 0);
	}
	assert_int_equal(otlp_encode(&p, &body), 0);
	assert_int_equal(intake_split(&in, bytes_of(&body), &format_limits_default, NULL, &parts, &err), -E2BIG);
	assert_non_null(strstr(err.text, "more than 1024 series"));
	profile_done(&p);
}

/* However little memory there is, it ends in an error that is one. */
static void budget_ends_in_an_error(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf body = buf_of(1 << 20);
	struct intake in = { .key = slice_str("k") };
	struct intake_parts parts;
	struct profile p;
	struct error err;
	start(&p);
	add(&p, "service=shop thread_name=w", "cart", 1, 10, 5);
	add(&p, "service=db", "scan", 2, 20, 6);
	assert_int_equal(otlp_encode(&p, &body), 0);
	int r = -1;
	for (size_t max = 1000; r < 0 && max < 1 << 20; max += 211) {
		struct membudget budget = membudget_of(max);
		r = intake_split(&in, bytes_of(&body), &format_limits_default, &budget, &parts, &err);
		assert_true(r == 0 || r == -ENOBUFS);
		if (r == 0)
			intake_parts_done(&parts);
		assert_int_equal(budget.used, 0);
	}
	assert_int_equal(r, 0);
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_service_is_a_profile_of_its_own),
		cmocka_unit_test(a_single_profile_keeps_its_body_and_key),
		cmocka_unit_test(bad_ones_are_told_apart),
		cmocka_unit_test(series_have_a_limit),
		cmocka_unit_test(budget_ends_in_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
