/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_FUNCTIONS 3000 /* of a service */
#define N_COMMON    800	 /* of those, the same in all: libraries and kernel */
#define N_KERNEL    300	 /* of those */
#define N_SITES	    2	 /* places in a function that call */
#define N_CALLEES   10
#define MIN_DEPTH   14
#define MAX_DEPTH   44
#define OWN	    10	/* one stack in so many is a node's own */
#define CHURN	    50	/* one in so many is replaced each hour */
#define ZIPF_Q	    2.7 /* weight of rank r: 1 / (r + Q)^S */
#define ZIPF_S	    1.6
#define SAMPLE_NS   INT64_C(10000000)
#define JITTER_NS   2000000
#define N_BASE	    40 /* percent of the stacks share little with others */

/* The calls of one service, growing: a node's parent stands before it. */
struct calls {
	VEC(uint32_t) parent;
	VEC(uint32_t) frame; /* function * N_SITES + site */
	VEC(uint8_t) depth;
	uint32_t *shared; /* [hour * n_shared + slot] = leaf */
	uint32_t *own;	  /* [(hour * nodes of the service + node) * n_own + slot] */
	uint32_t n_nodes; /* of the fleet that run it */
	uint64_t random;
};

/* By Walker's alias method: one draw, one look. */
struct alias {
	uint32_t *other;
	uint32_t *keep; /* share of 2^32 */
	uint32_t hour;	/* + 1; 0 = not made yet */
};

/* id of a row in the profile being made, of those with mark = epoch. */
struct marks {
	uint32_t *mark, *id;
};

struct fleet {
	struct fleet_shape shape;
	uint32_t n_shared, n_own;
	struct calls *service;
	struct alias *alias; /* by node */
	uint32_t epoch;
	struct marks node, frame, function, string;
	struct strtab strings;
	struct str_id *name_of, *file_of;  /* [service * N_FUNCTIONS + function] */
	struct str_id (*mapping_of)[4][2]; /* [service][mapping]: path, build id */
	uint32_t *count;		   /* by slot */
};

static void *table(size_t n, size_t size)
{
	void *p = calloc(n + 1, size);
	if (!p) {
		(void)fputs("out of memory\n", stderr);
		exit(1);
	}
	return p;
}

/* ---- random numbers ---- */

/* splitmix64 (S. Vigna, 2015): a number of its own for each key. */
static uint64_t mix(uint64_t v)
{
	v += 0x9e3779b97f4a7c15;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9;
	v = (v ^ v >> 27) * 0x94d049bb133111eb;
	return v ^ v >> 31;
}

static uint64_t mix3(uint64_t a, uint64_t b, uint64_t c)
{
	return mix(mix(mix(a) ^ b) ^ c);
}

static uint32_t below(uint64_t *state, uint32_t n)
{
	*state = mix(*state);
	return (uint32_t)((*state >> 32) * n >> 32);
}

/* ---- stacks ---- */

static uint32_t add_call(struct calls *c, uint32_t parent, uint32_t frame)
{
	if (vec_reserve(NULL, &c->parent, 1) < 0 || vec_reserve(NULL, &c->frame, 1) < 0 ||
	    vec_reserve(NULL, &c->depth, 1) < 0) {
		(void)fputs("out of memory\n", stderr);
		exit(1);
	}
	uint8_t depth = c->depth.n ? (uint8_t)(c->depth.data[parent] + 1) : 0;
	c->parent.data[c->parent.n++] = parent;
	c->frame.data[c->frame.n++] = frame;
	c->depth.data[c->depth.n++] = depth;
	return c->parent.n - 1;
}

/* A function calls few others, some of them mostly; the kernel calls the kernel. */
static uint32_t callee(struct calls *c, uint64_t seed, uint32_t function)
{
	uint32_t a = below(&c->random, N_CALLEES), b = below(&c->random, N_CALLEES);
	uint64_t any = mix3(seed, function, a < b ? a : b);
	if (function < N_KERNEL)
		return (uint32_t)(any % N_KERNEL);
	if (any % 100 < 2)
		return (uint32_t)(any / 100 % N_KERNEL);
	if (any % 100 < 22)
		return N_KERNEL + (uint32_t)(any / 100 % (N_COMMON - N_KERNEL));
	return N_COMMON + (uint32_t)(any / 100 % (N_FUNCTIONS - N_COMMON));
}

static uint32_t extend(struct calls *c, uint64_t seed, uint32_t node, uint32_t depth)
{
	while (c->depth.data[node] < depth) {
		uint32_t function = node ? c->frame.data[node] / N_SITES : N_COMMON;
		function = node ? callee(c, seed, function) : N_COMMON + below(&c->random, 4);
		node = add_call(c, node, function * N_SITES + below(&c->random, N_SITES));
	}
	return node;
}

/* A relative of the stack `from`: some frames up, and down another way. */
static uint32_t relative(struct calls *c, uint64_t seed, uint32_t from)
{
	uint32_t depth = c->depth.data[from];
	uint32_t up = 1 + below(&c->random, 4), down = 1 + below(&c->random, 5);
	if (below(&c->random, 100) < N_BASE) {
		up = 1 + below(&c->random, depth - 1);
		down = below(&c->random, up + 6);
	}
	uint32_t to = depth - up + down;
	to = to < MIN_DEPTH ? MIN_DEPTH : to > MAX_DEPTH ? MAX_DEPTH : to;
	for (uint32_t i = 0; i < up; i++)
		from = c->parent.data[from];
	return extend(c, seed, from, to);
}

static void fill_hour(struct fleet *f, struct calls *c, uint64_t seed, uint32_t hour)
{
	uint32_t n = f->n_shared, *shared = c->shared + (size_t)hour * n;
	size_t n_own = (size_t)c->n_nodes * f->n_own;
	uint32_t *own = c->own + hour * n_own;
	/* What is not replaced stays. */
	if (hour) {
		memcpy(shared, shared - n, n * sizeof(*shared));
		memcpy(own, own - n_own, n_own * sizeof(*own));
	} else {
		shared[0] = extend(c, seed, 0, (MIN_DEPTH + MAX_DEPTH) / 2);
	}
	for (uint32_t i = hour ? 0 : 1; i < n; i++)
		if (hour == 0 || below(&c->random, CHURN) == 0)
			shared[i] = relative(c, seed, shared[below(&c->random, hour ? n : i)]);
	for (size_t i = 0; i < n_own; i++)
		if (hour == 0 || below(&c->random, CHURN) == 0)
			own[i] = relative(c, seed, shared[below(&c->random, n)]);
}

static void service_init(struct fleet *f, uint32_t service)
{
	const struct fleet_shape *s = &f->shape;
	struct calls *c = &f->service[service];
	uint64_t seed = mix3(s->seed, service, 1);
	c->n_nodes = (s->n_nodes - service + s->n_services - 1) / s->n_services;
	c->random = mix3(s->seed, service, 2);
	c->shared = table((size_t)s->n_hours * f->n_shared, sizeof(uint32_t));
	c->own = table((size_t)s->n_hours * c->n_nodes * f->n_own, sizeof(uint32_t));
	(void)add_call(c, 0, 0);
	for (uint32_t hour = 0; hour < s->n_hours; hour++)
		fill_hour(f, c, seed, hour);
}

/* ---- weights ---- */

/* Which rank a slot has in its service; nodes and hours make it up to four times more or less. */
static double weight(const struct fleet *f, uint32_t node, uint32_t hour, uint32_t slot)
{
	uint32_t n = f->shape.n_stacks;
	uint64_t service = node % f->shape.n_services;
	/* 1,289 is prime, and divides no number of stacks that is asked for. */
	uint32_t rank = (uint32_t)((slot * UINT64_C(1289) + mix3(f->shape.seed, service, 3)) % n);
	double drift = (double)(mix3(f->shape.seed + node, hour, slot) >> 11) / 9007199254740992.0;
	return pow(4, 2 * drift - 1) / pow(rank + 1 + ZIPF_Q, ZIPF_S);
}

/* M. Vose, A linear algorithm for generating random numbers with a given distribution, 1991. */
static void alias_make(struct fleet *f, struct alias *a, uint32_t node, uint32_t hour)
{
	uint32_t n = f->shape.n_stacks, n_small = 0, n_large = n;
	double *w = table(n, sizeof(*w)), sum = 0;
	uint32_t *work = table(n, sizeof(*work));
	for (uint32_t i = 0; i < n; i++)
		sum += w[i] = weight(f, node, hour, i);
	for (uint32_t i = 0; i < n; i++) {
		w[i] *= n / sum;
		work[w[i] < 1 ? n_small++ : --n_large] = i;
	}
	while (n_small > 0 && n_large < n) {
		uint32_t small = work[--n_small], large = work[n_large];
		a->keep[small] = (uint32_t)(w[small] * UINT32_MAX);
		a->other[small] = large;
		w[large] -= 1 - w[small];
		if (w[large] < 1) {
			n_large++;
			work[n_small++] = large;
		}
	}
	for (; n_large < n; n_large++)
		a->keep[work[n_large]] = UINT32_MAX;
	while (n_small > 0)
		a->keep[work[--n_small]] = UINT32_MAX;
	a->hour = hour + 1;
	free(w);
	free(work);
}

static void draw(struct fleet *f, uint32_t node, uint32_t minute)
{
	struct alias *a = &f->alias[node];
	uint32_t n = f->shape.n_stacks;
	if (a->hour != minute / 60 + 1)
		alias_make(f, a, node, minute / 60);
	memset(f->count, 0, n * sizeof(*f->count));
	uint64_t random = mix3(f->shape.seed, node, minute + 4);
	for (uint32_t i = 0; i < f->shape.n_samples; i++) {
		uint32_t slot = below(&random, n);
		f->count[(uint32_t)random <= a->keep[slot] ? slot : a->other[slot]]++;
	}
}

/* ---- names ---- */

static const char *const words[] = {
	"account", "address", "alloc",	   "batch",	"billing",  "block",	"bucket", "buffer",  "cache",
	"catalog", "channel", "client",	   "cluster",	"codec",    "commit",	"config", "context", "cursor",
	"decode",  "deliver", "digest",	   "dispatch",	"document", "encode",	"entry",  "event",   "expire",
	"fetch",   "filter",  "flush",	   "format",	"frame",    "gateway",	"graph",  "handle",  "hash",
	"header",  "index",   "invoice",   "iterate",	"journal",  "ledger",	"lookup", "marshal", "match",
	"merge",   "message", "metric",	   "normalize", "notify",   "order",	"packet", "parse",   "payment",
	"plan",	   "pool",    "price",	   "process",	"product",  "publish",	"query",  "queue",   "quota",
	"ranking", "reader",  "reconcile", "record",	"refresh",  "region",	"render", "replica", "request",
	"resolve", "retry",   "route",	   "sample",	"schedule", "schema",	"search", "segment", "sequence",
	"session", "shard",   "snapshot",  "socket",	"split",    "storage",	"stream", "submit",  "summary",
	"table",   "tenant",  "token",	   "transfer",	"update",   "validate", "vector", "version", "window",
	"writer",
};
#define N_WORDS (sizeof(words) / sizeof(*words))

static const char *const services[] = { "checkout", "search",  "billing", "catalog", "sessions",
					"gateway",  "ranking", "mailer",  "ledger",  "indexer" };

void fleet_service_name(const struct fleet *f, uint32_t node, char out[static 32])
{
	(void)snprintf(out, 32, "%s", services[node % f->shape.n_services % 10]);
}

void fleet_host_name(uint32_t node, char out[static 32])
{
	(void)snprintf(out, 32, "node-%05u.fleet", node);
}

static const char *word(uint64_t any, int i)
{
	return words[mix(any + (uint64_t)i) % N_WORDS];
}

/* Half of the services are written in Go, half in C++. */
static void name_function(const struct fleet *f, uint32_t service, uint32_t function, char name[static 160],
			  char file[static 128])
{
	bool is_common = function < N_COMMON;
	uint64_t any = mix3(f->shape.seed, is_common ? 99 : service, function);
	const char *a = word(any, 1), *b = word(any, 2), *c = word(any, 3), *d = word(any, 4);
	if (function < N_KERNEL) {
		(void)snprintf(name, 160, "%s_%s_%s", any & 1 ? "do" : "__x64_sys", a, b);
		file[0] = 0;
	} else if (is_common) {
		(void)snprintf(name, 160,
			       "std::%s::basic_%s<char, std::char_traits<char>, std::allocator<char> >::%s_%s", a, b, c,
			       d);
		(void)snprintf(file, 128, "/usr/include/c++/12/bits/%s_%s.tcc", a, b);
	} else if (service % 2) {
		(void)snprintf(name, 160, "github.com/fleet/%s/internal/%s.(*%s%s).%s%u", services[service % 10], a, b,
			       c, d, (unsigned)(any >> 60));
		(void)snprintf(file, 128, "/build/src/github.com/fleet/%s/internal/%s/%s_%s.go", services[service % 10],
			       a, b, c);
	} else {
		(void)snprintf(name, 160, "fleet::%s::%s_%s::%s_%s(fleet::%s const&, unsigned long)",
			       services[service % 10], a, b, c, d, word(any, 5));
		(void)snprintf(file, 128, "/build/src/fleet/%s/%s_%s.cc", services[service % 10], a, b);
	}
}

enum { MAPPING_MAIN = 1, MAPPING_LIBRARY, MAPPING_KERNEL };

static struct str_id intern(struct fleet *f, const char *s)
{
	struct str_id id;
	if (strtab_intern_str(&f->strings, s, &id) < 0) {
		(void)fputs("out of memory\n", stderr);
		exit(1);
	}
	return id;
}

static void name_mapping(struct fleet *f, uint32_t service, int mapping, const char *path, uint64_t id)
{
	char build_id[48];
	(void)snprintf(build_id, sizeof(build_id), "%016llx%016llx%08x", (unsigned long long)mix(id),
		       (unsigned long long)mix(id + 1), (unsigned)mix(id + 2));
	f->mapping_of[service][mapping][0] = intern(f, path);
	f->mapping_of[service][mapping][1] = intern(f, build_id);
}

static void names_init(struct fleet *f)
{
	uint32_t n = f->shape.n_services;
	char name[160], file[128];
	f->name_of = table((size_t)n * N_FUNCTIONS, sizeof(*f->name_of));
	f->file_of = table((size_t)n * N_FUNCTIONS, sizeof(*f->file_of));
	f->mapping_of = table(n, sizeof(*f->mapping_of));
	if (strtab_init(&f->strings, NULL) < 0)
		exit(1);
	for (uint32_t s = 0; s < n; s++) {
		(void)snprintf(name, sizeof(name), "/usr/local/bin/%s", services[s % 10]);
		name_mapping(f, s, MAPPING_MAIN, name, mix3(f->shape.seed, s, 5));
		name_mapping(f, s, MAPPING_LIBRARY, "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30", f->shape.seed);
		name_mapping(f, s, MAPPING_KERNEL, "[kernel.kallsyms]", f->shape.seed + 9);
		for (uint32_t i = 0; i < N_FUNCTIONS; i++) {
			name_function(f, s, i, name, file);
			f->name_of[(size_t)s * N_FUNCTIONS + i] = intern(f, name);
			f->file_of[(size_t)s * N_FUNCTIONS + i] = intern(f, file);
		}
	}
}

/* ---- a profile ---- */

/* Copies a string of the fleet into the profile, once. */
static int put_string(struct fleet *f, struct str_id from, struct strtab *t, struct str_id *ret)
{
	struct slice s = strtab_get(&f->strings, from);
	*ret = (struct str_id){ s.size ? f->string.id[from.v] : 0 };
	if (s.size == 0 || f->string.mark[from.v] == f->epoch)
		return 0;
	int r = vec_reserve(t->budget, &t->bytes, (uint32_t)s.size + 1);
	if (r == 0)
		r = vec_reserve(t->budget, &t->offset, 1);
	if (r < 0)
		return r;
	memcpy(t->bytes.data + t->bytes.n, s.data, s.size);
	t->bytes.n += (uint32_t)s.size;
	t->bytes.data[t->bytes.n++] = 0;
	ret->v = strtab_count(t);
	t->offset.data[t->offset.n++] = t->bytes.n;
	f->string.mark[from.v] = f->epoch;
	f->string.id[from.v] = ret->v;
	return 0;
}

static int put_mappings(struct fleet *f, uint32_t service, struct dict *d)
{
	int r = vec_reserve(d->budget, &d->mappings, MAPPING_KERNEL);
	for (int i = MAPPING_MAIN; r == 0 && i <= MAPPING_KERNEL; i++) {
		const struct str_id *from = f->mapping_of[service][i];
		struct mapping row = { .limit = 64 << 20,
				       .flags = MAPPING_HAS_FUNCTIONS | MAPPING_HAS_FILENAMES | MAPPING_HAS_LINES };
		r = put_string(f, from[0], &d->strings, &row.path);
		if (r == 0)
			r = put_string(f, from[1], &d->strings, &row.build_id);
		d->mappings.data[d->mappings.n++] = row;
	}
	return r;
}

static int put_function(struct fleet *f, uint32_t service, uint32_t function, struct dict *d, uint32_t *ret)
{
	struct function row = { .start_line = (uint32_t)(mix(function) % 3000) };
	size_t at = (size_t)service * N_FUNCTIONS + function;
	*ret = f->function.id[function];
	if (f->function.mark[function] == f->epoch)
		return 0;
	int r = put_string(f, f->name_of[at], &d->strings, &row.name);
	if (r == 0)
		r = put_string(f, f->file_of[at], &d->strings, &row.file);
	row.system_name = row.name;
	if (r == 0)
		r = vec_reserve(d->budget, &d->functions, 1);
	if (r < 0)
		return r;
	f->function.mark[function] = f->epoch;
	*ret = f->function.id[function] = d->functions.n;
	d->functions.data[d->functions.n++] = row;
	return 0;
}

static int put_frame(struct fleet *f, uint32_t service, uint32_t frame, struct dict *d, uint32_t *ret)
{
	uint32_t function = frame / N_SITES;
	bool is_kernel = function < N_KERNEL, is_common = function < N_COMMON;
	struct frame row = {
		.mapping = { is_kernel	 ? MAPPING_KERNEL
			     : is_common ? MAPPING_LIBRARY
					 : MAPPING_MAIN },
		.address = function * UINT64_C(1871) + mix(frame) % 1800,
		.line = (uint32_t)(mix(function) % 3000 + 1 + mix(frame) % 80),
		.kind = is_kernel ? FRAME_KERNEL : FRAME_USER,
	};
	*ret = f->frame.id[frame];
	if (f->frame.mark[frame] == f->epoch)
		return 0;
	int r = put_function(f, service, function, d, &row.function.v);
	if (r == 0)
		r = vec_reserve(d->budget, &d->frames, 1);
	if (r < 0)
		return r;
	f->frame.mark[frame] = f->epoch;
	*ret = f->frame.id[frame] = d->frames.n;
	d->frames.data[d->frames.n++] = row;
	return 0;
}

static int put_stack(struct fleet *f, uint32_t service, uint32_t leaf, struct dict *d, uint32_t *ret)
{
	const struct calls *c = &f->service[service];
	uint32_t path[MAX_DEPTH + 1], n = 0, node = leaf;
	for (; node && f->node.mark[node] != f->epoch; node = c->parent.data[node])
		path[n++] = node;
	uint32_t id = node ? f->node.id[node] : 0;
	int r = vec_reserve(d->budget, &d->node_parent, n);
	if (r == 0)
		r = vec_reserve(d->budget, &d->node_frame, n);
	while (r == 0 && n-- > 0) {
		struct frame_id frame;
		r = put_frame(f, service, c->frame.data[path[n]], d, &frame.v);
		d->node_parent.data[d->node_parent.n++] = (struct node_id){ id };
		d->node_frame.data[d->node_frame.n++] = frame;
		id = d->node_parent.n - 1;
		f->node.mark[path[n]] = f->epoch;
		f->node.id[path[n]] = id;
	}
	*ret = id;
	return r;
}

static uint32_t leaf_of(const struct fleet *f, uint32_t node, uint32_t hour, uint32_t slot)
{
	const struct calls *c = &f->service[node % f->shape.n_services];
	if (slot < f->n_shared)
		return c->shared[(size_t)hour * f->n_shared + slot];
	size_t row = (size_t)hour * c->n_nodes + node / f->shape.n_services;
	return c->own[row * f->n_own + slot - f->n_shared];
}

static int put_samples(struct fleet *f, uint32_t node, uint32_t minute, struct profile *p)
{
	int r = 0;
	for (uint32_t slot = 0; r == 0 && slot < f->shape.n_stacks; slot++) {
		struct node_id leaf;
		int64_t value = f->count[slot] * SAMPLE_NS;
		if (!f->count[slot])
			continue;
		r = put_stack(f, node % f->shape.n_services, leaf_of(f, node, minute / 60, slot), &p->dict, &leaf.v);
		if (r == 0)
			r = profile_add_sample(p, leaf, (struct labels_id){ 0 }, &value);
	}
	return r;
}

int fleet_profile(struct fleet *f, uint32_t node, uint32_t minute, struct profile *ret)
{
	char comment[128];
	(void)snprintf(comment, sizeof(comment),
		       "wick.window source=bpf:cpu-clock unwind=tables cpus=4 rate_hz=100 samples=%u",
		       f->shape.n_samples);
	f->epoch++;
	/* What is interned comes first. */
	int r = profile_add_type(ret, slice_str("cpu"), slice_str("nanoseconds"));
	if (r == 0)
		r = profile_add_comment(ret, slice_str(comment));
	if (r == 0)
		r = put_mappings(f, node % f->shape.n_services, &ret->dict);
	if (r < 0)
		return r;
	ret->time_ns = (FLEET_START_MS + minute * FLEET_MINUTE_MS) * 1000000;
	ret->duration_ns = FLEET_MINUTE_MS * 1000000;
	ret->period = 10000000;
	ret->period_type = ret->types[0];
	draw(f, node, minute);
	return put_samples(f, node, minute, ret);
}

int fleet_profile_timed(struct fleet *f, uint32_t node, uint32_t minute, struct profile *ret)
{
	struct profile whole;
	int r = profile_init(&whole, ret->budget);
	if (r == 0)
		r = fleet_profile(f, node, minute, &whole);
	if (r == 0)
		r = profile_add_type(ret, slice_str("cpu"), slice_str("nanoseconds"));
	_cleanup_(free_ptr)
	struct node_id *map = calloc(r == 0 ? dict_n_nodes(&whole.dict) : 1, sizeof(*map));
	_cleanup_(free_ptr)
	uint32_t *order = table(f->shape.n_samples, sizeof(*order));
	if (r == 0)
		r = map ? dict_import(&ret->dict, &whole.dict, map) : -ENOMEM;
	uint32_t n = 0;
	for (uint32_t i = 0; r == 0 && i < profile_n_samples(&whole); i++)
		for (int64_t k = whole.value[0].data[i] / SAMPLE_NS; k > 0; k--)
			order[n++] = i;
	uint64_t random = mix3(f->shape.seed, node, minute + 5);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		uint32_t other = i + below(&random, n - i), row = order[other];
		int64_t value = SAMPLE_NS, at = whole.time_ns + i * SAMPLE_NS + below(&random, JITTER_NS);
		order[other] = order[i];
		r = profile_add_sample_at(ret, map[whole.node.data[row].v], (struct labels_id){ 0 }, &value, at);
	}
	ret->time_ns = whole.time_ns;
	ret->duration_ns = whole.duration_ns;
	profile_done(&whole);
	return r;
}

/* ---- all of it ---- */

struct fleet_shape fleet_shape_of(uint32_t n_nodes, uint32_t n_hours)
{
	uint32_t n_services = n_nodes < 100 ? (n_nodes + 9) / 10 : 10;
	return (struct fleet_shape){ 1, n_nodes, n_services, n_hours, 2000, 6000 };
}

static void marks_init(struct marks *m, size_t n)
{
	m->mark = table(n, sizeof(uint32_t));
	m->id = table(n, sizeof(uint32_t));
}

static void marks_done(struct marks *m)
{
	free(m->mark);
	free(m->id);
}

struct fleet *fleet_new(const struct fleet_shape *shape)
{
	struct fleet *f = table(1, sizeof(*f));
	uint32_t most = 0;
	f->shape = *shape;
	f->n_own = shape->n_stacks / OWN;
	f->n_shared = shape->n_stacks - f->n_own;
	f->service = table(shape->n_services, sizeof(*f->service));
	f->alias = table(shape->n_nodes, sizeof(*f->alias));
	f->count = table(shape->n_stacks, sizeof(*f->count));
	for (uint32_t i = 0; i < shape->n_services; i++) {
		service_init(f, i);
		most = f->service[i].parent.n > most ? f->service[i].parent.n : most;
	}
	for (uint32_t i = 0; i < shape->n_nodes; i++) {
		f->alias[i].other = table(shape->n_stacks, sizeof(uint32_t));
		f->alias[i].keep = table(shape->n_stacks, sizeof(uint32_t));
	}
	marks_init(&f->node, most);
	marks_init(&f->frame, (size_t)N_FUNCTIONS * N_SITES);
	marks_init(&f->function, N_FUNCTIONS);
	names_init(f);
	marks_init(&f->string, strtab_count(&f->strings));
	return f;
}

void fleet_free(struct fleet **fleet)
{
	struct fleet *f = *fleet;
	if (!f)
		return;
	for (uint32_t i = 0; i < f->shape.n_services; i++) {
		struct calls *c = &f->service[i];
		vec_done(NULL, &c->parent);
		vec_done(NULL, &c->frame);
		vec_done(NULL, &c->depth);
		free(c->shared);
		free(c->own);
	}
	for (uint32_t i = 0; i < f->shape.n_nodes; i++) {
		free(f->alias[i].other);
		free(f->alias[i].keep);
	}
	free(f->service);
	free(f->alias);
	free(f->count);
	marks_done(&f->node);
	marks_done(&f->frame);
	marks_done(&f->function);
	marks_done(&f->string);
	strtab_done(&f->strings);
	free(f->name_of);
	free(f->file_of);
	free(f->mapping_of);
	free(f);
	*fleet = NULL;
}
