/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/window.h"

#include <errno.h>

/* What a key in window.ids stands for. */
enum row {
	ROW_STACK = 1,
	ROW_OBJECT,
	ROW_PLACE,
	ROW_NODE,
	ROW_SERIES,
	ROW_PROCESS,
	ROW_THREAD,
	ROW_SAMPLE,
	ROW_RECALL
};

/* splitmix64's finaliser. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* One map for all rows: 64 bits of hash stand for the row. At 10^5 rows two
 * are taken for one in 1 of 10^9 windows. */
static uint64_t key_of(enum row row, uint64_t a, uint64_t b)
{
	return mix(mix(a + row * 0x9e3779b97f4a7c15ull) ^ b);
}

int window_init(struct window *w, uint32_t number, int64_t start_ns, size_t max_size)
{
	*w = (struct window){ .number = number, .start_ns = start_ns, .budget = membudget_of(max_size) };
	u64map_init(&w->ids, &w->budget);
	int r = strtab_init(&w->strings, &w->budget);
	if (r == 0)
		r = vec_reserve(&w->budget, &w->objects, 1);
	if (r == 0)
		r = vec_reserve(&w->budget, &w->places, 1);
	if (r == 0)
		r = vec_reserve(&w->budget, &w->nodes, 1);
	if (r < 0) {
		window_done(w);
		return r;
	}
	w->objects.data[w->objects.n++] = (struct window_object){ .kind = OBJECT_NONE };
	w->places.data[w->places.n++] = (struct window_place){ 0 };
	w->nodes.data[w->nodes.n++] = (struct window_node){ 0 };
	return 0;
}

void window_done(struct window *w)
{
	for (uint32_t i = 0; i < w->objects.n; i++) {
		binary_unref(w->objects.data[i].binary);
		process_unref(w->objects.data[i].process);
	}
	u64map_done(&w->ids);
	strtab_done(&w->strings);
	vec_done(&w->budget, &w->addresses);
	vec_done(&w->budget, &w->stacks);
	vec_done(&w->budget, &w->objects);
	vec_done(&w->budget, &w->places);
	vec_done(&w->budget, &w->nodes);
	vec_done(&w->budget, &w->series);
	vec_done(&w->budget, &w->processes);
	vec_done(&w->budget, &w->threads);
	vec_done(&w->budget, &w->samples);
	vec_done(&w->budget, &w->moments);
}

void window_keep_moments(struct window *w, uint32_t max)
{
	size_t room = w->budget.max / 4 / sizeof(struct window_moment);
	w->moments_max = room < max ? (uint32_t)room : max;
}

/* All over the window alike. */
static void thin_out_moments(struct window *w)
{
	w->moments.n /= 2;
	for (uint32_t i = 0; i < w->moments.n; i++)
		w->moments.data[i] = w->moments.data[2 * i];
	w->moments_shift++;
}

/* Without room for it a sample has no time, which is no loss. */
static void add_moment(struct window *w, uint32_t sample, uint64_t weight, int64_t mono_ns)
{
	int64_t us = (mono_ns - w->start_mono_ns) / 1000;
	if (w->moments_max == 0 || w->moments_seen++ & ((UINT32_C(1) << w->moments_shift) - 1))
		return;
	if (w->moments.n == w->moments_max)
		thin_out_moments(w);
	if (weight > UINT32_MAX || us > UINT32_MAX || vec_reserve(&w->budget, &w->moments, 1) < 0)
		return;
	w->moments.data[w->moments.n++] = (struct window_moment){ sample, us > 0 ? (uint32_t)us : 0, (uint32_t)weight };
}

/* Counting sort: there are as many keys as samples. */
void window_sort_moments(struct window *w)
{
	uint32_t n = w->moments.n;
	_cleanup_(free_ptr)
	uint32_t *place = calloc((size_t)w->samples.n + 1, sizeof(*place));
	_cleanup_(free_ptr)
	struct window_moment *sorted = malloc(((size_t)n + 1) * sizeof(*sorted));
	if (!place || !sorted) {
		w->moments.n = 0;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		place[w->moments.data[i].sample + 1]++;
	for (uint32_t i = 0; i < w->samples.n; i++)
		place[i + 1] += place[i];
	for (uint32_t i = 0; i < n; i++)
		sorted[place[w->moments.data[i].sample]++] = w->moments.data[i];
	if (n)
		memcpy(w->moments.data, sorted, n * sizeof(*sorted));
}

/* True with the row's index when there is one. Otherwise *ret_slot is where
 * index + 1 has to be stored, or NULL when the window is full. */
static bool find_row(struct window *w, enum row row, uint64_t a, uint64_t b, uint32_t *ret, uint32_t **ret_slot)
{
	uint64_t key = key_of(row, a, b);
	uint32_t known = u64map_get(&w->ids, key);
	if (known) {
		*ret = known - 1;
		return true;
	}
	*ret_slot = u64map_put(&w->ids, key);
	return false;
}

/* The index of the row with this identity, added to `vec` if it is new. Room
 * is made before the map is touched, so a full window stays consistent. */
#define INTERN(w, row, a, b, vec, ret, ...)                                                                            \
	({                                                                                                             \
		uint32_t *slot_ = NULL;                                                                                \
		int r_ = vec_reserve(&(w)->budget, vec, 1);                                                            \
		if (r_ == 0 && !find_row(w, row, a, b, ret, &slot_)) {                                                 \
			if (slot_) {                                                                                   \
				(vec)->data[(vec)->n] = (__VA_ARGS__);                                                 \
				*(ret) = (vec)->n++;                                                                   \
				*slot_ = *(ret) + 1;                                                                   \
			} else {                                                                                       \
				r_ = -ENOBUFS;                                                                         \
			}                                                                                              \
		}                                                                                                      \
		r_;                                                                                                    \
	})

int window_add_stack(struct window *w, const struct record_stack *s)
{
	uint32_t id = 0;
	int r = vec_reserve(&w->budget, &w->addresses, s->n_frames);
	if (r < 0 || window_find_stack(w, s->hash))
		return r;
	r = INTERN(w, ROW_STACK, s->hash, 0, &w->stacks, &id,
		   (struct window_stack){ w->addresses.n, s->n_frames, s->end });
	if (r < 0)
		return r;
	memcpy(w->addresses.data + w->addresses.n, s->frames, s->n_frames * sizeof(s->frames[0]));
	w->addresses.n += s->n_frames;
	return 0;
}

const struct window_stack *window_find_stack(const struct window *w, uint64_t hash)
{
	uint32_t id = u64map_get(&w->ids, key_of(ROW_STACK, hash, 0));
	return id ? &w->stacks.data[id - 1] : NULL;
}

int window_object_of_file(struct window *w, struct binary *b, uint32_t *ret)
{
	uint32_t before = w->objects.n;
	int r = INTERN(w, ROW_OBJECT, b->serial, OBJECT_FILE, &w->objects, ret,
		       (struct window_object){ .kind = OBJECT_FILE, .binary = b });
	if (w->objects.n > before)
		(void)binary_ref(b);
	return r;
}

int window_object_of_code(struct window *w, struct process *p, uint32_t *ret)
{
	uint32_t before = w->objects.n;
	int r = INTERN(w, ROW_OBJECT, p->serial, OBJECT_CODE, &w->objects, ret,
		       (struct window_object){ .kind = OBJECT_CODE, .process = p });
	if (w->objects.n > before)
		(void)process_ref(p);
	return r;
}

int window_object_of_kind(struct window *w, enum object_kind kind, uint32_t *ret)
{
	return INTERN(w, ROW_OBJECT, 0, kind, &w->objects, ret, (struct window_object){ .kind = kind });
}

int window_place(struct window *w, uint32_t object, uint64_t addr, enum frame_how how, uint32_t *ret)
{
	return INTERN(w, ROW_PLACE, addr, object | (uint64_t)how << 32, &w->places, ret,
		      (struct window_place){ .object = object, .addr = addr, .how = (uint8_t)how });
}

int window_node(struct window *w, uint32_t parent, uint32_t place, uint32_t *ret)
{
	return INTERN(w, ROW_NODE, parent, place, &w->nodes, ret, (struct window_node){ parent, place });
}

int window_series(struct window *w, const char *service, const char *container, uint32_t *ret)
{
	struct str_id s, c;
	int r = strtab_intern_str(&w->strings, service, &s);
	if (r == 0)
		r = strtab_intern_str(&w->strings, container, &c);
	if (r < 0)
		return r;
	return INTERN(w, ROW_SERIES, s.v, c.v, &w->series, ret, (struct window_series){ .service = s, .container = c });
}

static int intern_process(struct window *w, const struct process *p, uint32_t *ret)
{
	uint32_t series;
	int r = window_series(w, p->service, p->container, &series);
	if (r < 0)
		return r;
	return INTERN(w, ROW_PROCESS, p->serial, 0, &w->processes, ret, (struct window_process){ p->pid, series });
}

int window_thread(struct window *w, const struct process *p, uint32_t tid, const char *comm, uint32_t *ret)
{
	uint32_t process = 0;
	struct window_thread t = { .tid = tid };
	int r = intern_process(w, p, &process);
	if (r < 0)
		return r;
	t.process = process;
	memcpy(t.comm, comm, strnlen(comm, sizeof(t.comm) - 1));
	uint64_t name[SAMPLER_COMM / 8];
	memcpy(name, t.comm, sizeof(name));
	return INTERN(w, ROW_THREAD, (uint64_t)process << 32 | tid, mix(name[0]) ^ name[1], &w->threads, ret, t);
}

int window_add_weight(struct window *w, uint32_t thread, uint32_t node, enum stack_end end, uint64_t weight,
		      int64_t mono_ns)
{
	uint32_t id = 0;
	int r = INTERN(w, ROW_SAMPLE, thread | (uint64_t)end << 32, node, &w->samples, &id,
		       (struct window_sample){ .thread = thread, .node = node, .end = end });
	if (r < 0)
		return r;
	struct window_series *s = &w->series.data[w->processes.data[w->threads.data[thread].process].series];
	w->samples.data[id].weight += weight;
	w->samples.data[id].n++;
	add_moment(w, id, weight, mono_ns);
	s->weight += weight;
	s->n_samples++;
	w->info.n_samples++;
	return 0;
}

uint32_t window_recall(const struct window *w, uint64_t a, uint64_t b)
{
	return u64map_get(&w->ids, key_of(ROW_RECALL, a, b));
}

int window_remember(struct window *w, uint64_t a, uint64_t b, uint32_t value)
{
	uint32_t *slot = u64map_put(&w->ids, key_of(ROW_RECALL, a, b));
	if (!slot)
		return -ENOBUFS;
	*slot = value;
	return 0;
}
