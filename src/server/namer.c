/* SPDX-License-Identifier: Apache-2.0 */
#include "server/namer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sibling.h"
#include "dwarf/job.h"
#include "dwarf/lines.h"
#include "server/server.h"
#include "store/view.h"

#include <errno.h>

#define BATCH	       16384
#define CHUNK	       2048 /* frames that get their lines while queries wait */
#define MAX_BUILDS     65536
#define ROUND_NS       (INT64_C(200) * 1000000) /* between two looks at what is new */
#define JOB_CPU_S      60
#define JOB_TIMEOUT_MS 180000 /* others may need the CPU */
#define JOB_REST       10     /* a build rests so many times as long as its job took */
#define MAX_CUTS       8      /* jobs of one build that ran out of time; then it is given up */
#define MIN_MEMORY     64     /* MiB of a job */

/* What is known of one build id. */
struct build {
	struct str_id id, path; /* in places.strings */
	uint32_t n_frames;	/* that want lines */
	uint32_t n_done;	/* of those, looked up */
	uint32_t n_named;	/* of those, found */
	uint32_t n_cuts;
	bool has_file, is_given_up;
	bool by_dwarf; /* its file has debug information, not only symbols */
	bool is_anew;  /* what was found before is to be forgotten */
	int64_t not_before_ns;
};

struct place {
	uint64_t address; /* the ELF file's own; NOWHERE: it has none there */
	uint32_t frame;
};

#define NOWHERE UINT64_MAX

/* One batch under way; the thread's own. */
struct batch {
	struct place *places; /* by address */
	uint64_t *addrs;
	uint32_t n, n_addrs;
	struct framelines found; /* of place i as frame i + 1, until all is there */
	struct dwarf_outcome outcome;
	uint32_t n_done, n_named;
	int64_t took_ns;
};

struct namer {
	struct server *server;
	pthread_t thread;
	char program[PATH_MAX];
	unsigned memory_mib;
	struct log_gate gate;

	/* Guards `lines` and its generation, which only the thread changes. Taken last. */
	pthread_rwlock_t lines_lock;
	struct membudget budget;
	struct framelines lines; /* of frames of `places` */
	uint64_t generation;	 /* of `lines` */
	_Atomic bool has_lines;
	_Atomic uint64_t memory_used; /* of the budget, for others to read */
	_Atomic bool stop, is_poked;

	/* Guards all below, and part.lines. Taken with a part open, never before one is. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_full;
	int64_t next_round_ns, blocks_due_ns;
	VEC(struct build) builds;
	struct membudget places_budget;
	struct dict places;		/* mappings without a path, frames with nothing but an address */
	struct u64map visited;		/* blocks that were looked at */
	struct u64map build_ids;	/* string id -> build + 1 */
	VEC(uint32_t) build_of_mapping; /* build + 1; 0 = none */
	uint32_t n_frames_seen;
	uint32_t turn;	     /* the build after the one that had its turn */
	uint64_t files_seen; /* generation of the debug store */
	uint32_t builds_seen;
	uint64_t n_answers, n_jobs, n_cut, n_failed, cpu_ns;
};

/* ---- which frames of which build; with the lock ---- */

static bool is_wanted(const struct dict *d, const struct frame *f)
{
	return f->kind == FRAME_USER && f->line == 0 && !(f->flags & FRAME_INLINED) &&
	       d->functions.data[f->function.v].file.v == 0 &&
	       is_build_id(strtab_cstr(&d->strings, d->mappings.data[f->mapping.v].build_id));
}

static int add_build(struct namer *n, struct str_id id, struct slice path, uint32_t *ret)
{
	uint32_t known = u64map_get(&n->build_ids, id.v);
	*ret = known;
	if (known || n->builds.n == MAX_BUILDS)
		return 0;
	struct build b = { .id = id };
	int r = strtab_intern(&n->places.strings, path, &b.path);
	if (r == 0)
		r = vec_reserve(NULL, &n->builds, 1);
	uint32_t *slot = r < 0 ? NULL : u64map_put(&n->build_ids, id.v);
	if (!slot)
		return r < 0 ? r : -ENOMEM;
	n->builds.data[n->builds.n++] = b;
	*ret = *slot = n->builds.n;
	return 0;
}

/* The mapping as places have it. */
static int add_mapping(struct namer *n, const struct dict *d, const struct mapping *m, struct mapping_id *ret)
{
	struct mapping row = { .start = m->start, .limit = m->limit, .offset = m->offset };
	int r = strtab_intern(&n->places.strings, strtab_get(&d->strings, m->build_id), &row.build_id);
	if (r == 0)
		r = dict_mapping(&n->places, &row, ret);
	uint32_t build = 0;
	if (r == 0 && ret->v >= n->build_of_mapping.n) {
		r = vec_reserve(NULL, &n->build_of_mapping, 2);
		if (r == 0)
			r = add_build(n, row.build_id, strtab_get(&d->strings, m->path), &build);
		if (r < 0)
			return r;
		if (n->build_of_mapping.n == 0)
			n->build_of_mapping.data[n->build_of_mapping.n++] = 0;
		n->build_of_mapping.data[n->build_of_mapping.n++] = build;
	}
	return r;
}

/* The place of a wanted frame; *ret = 0: there is no room for more. */
static int place_of(struct namer *n, const struct dict *d, const struct frame *f, uint32_t *ret)
{
	struct frame row = { .address = f->address, .kind = FRAME_USER };
	struct frame_id id = { 0 };
	int r = add_mapping(n, d, &d->mappings.data[f->mapping.v], &row.mapping);
	if (r == 0)
		r = dict_frame(&n->places, &row, &id);
	if (r == -ENOBUFS)
		n->is_full = true;
	*ret = r < 0 ? 0 : id.v;
	return r == -ENOBUFS ? 0 : r;
}

/* Counts the places that have come since. */
static void count_places(struct namer *n)
{
	const struct dict *d = &n->places;
	for (; n->n_frames_seen < d->frames.n; n->n_frames_seen++) {
		uint32_t build = n->build_of_mapping.n
					 ? n->build_of_mapping.data[d->frames.data[n->n_frames_seen].mapping.v]
					 : 0;
		if (build)
			n->builds.data[build - 1].n_frames++;
	}
}

/* Frames of a part that have come since. */
static int see_part(struct namer *n, const struct part *p)
{
	const struct dict *d = &p->names.dict;
	int r = 0;
	for (; r == 0 && p->lines->n_seen < d->frames.n; p->lines->n_seen++) {
		const struct frame *f = &d->frames.data[p->lines->n_seen];
		uint32_t place;
		if (is_wanted(d, f))
			r = place_of(n, d, f, &place);
	}
	count_places(n);
	return r;
}

/* Files come and go. A better one starts its build anew. */
static void see_files(struct namer *n, const struct dict *d)
{
	for (uint32_t i = 0; i < n->builds.n; i++) {
		struct build *b = &n->builds.data[i];
		struct debug_file file;
		b->has_file = debugstore_find(n->server->debugstore, strtab_cstr(&d->strings, b->id), &file);
		if (!b->has_file || !file.has_dwarf || b->by_dwarf)
			continue;
		b->by_dwarf = b->is_anew = true;
		b->is_given_up = false;
		b->n_cuts = b->n_done = b->n_named = 0;
		b->not_before_ns = 0;
	}
}

/* One block that was not looked at yet, each in its turn: *ret_took_ns is what that took, 0 = there is none. */
static int see_block(struct namer *n, struct view *v, int64_t *ret_took_ns)
{
	*ret_took_ns = 0;
	for (uint32_t i = 0; i < view_n_parts(v); i++) {
		const struct part *p;
		uint64_t id = view_part_id(v, i);
		if (!id || u64map_get(&n->visited, id))
			continue;
		int64_t start = clock_mono_ns();
		uint32_t *slot = u64map_put(&n->visited, id);
		if (!slot)
			return -ENOMEM;
		*slot = 1;
		if (view_open(v, i, &p, NULL) < 0)
			return 0; /* whoever asks for it is told */
		(void)pthread_mutex_lock(&n->lock);
		int r = see_part(n, p);
		(void)pthread_mutex_unlock(&n->lock);
		view_close(v, i);
		*ret_took_ns = clock_mono_ns() - start + 1;
		return r;
	}
	return 0;
}

/* What is in memory. */
static int see_heads(struct namer *n, struct view *v)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < view_n_parts(v) && view_part_id(v, i) == 0; i++) {
		const struct part *p;
		if (view_open(v, i, &p, NULL) < 0)
			continue;
		(void)pthread_mutex_lock(&n->lock);
		r = see_part(n, p);
		(void)pthread_mutex_unlock(&n->lock);
		view_close(v, i);
	}
	return r;
}

/* Without the lock. *ret_took_ns as see_block() has it; NULL: no block is looked at. */
static int see(struct namer *n, int64_t *ret_took_ns)
{
	struct view *v;
	int r = view_take(n->server->store, &v);
	if (r < 0)
		return r;
	r = see_heads(n, v);
	if (r == 0 && ret_took_ns)
		r = see_block(n, v, ret_took_ns);
	view_free(&v);
	(void)pthread_mutex_lock(&n->lock);
	uint64_t files = debugstore_generation(n->server->debugstore);
	if (files != n->files_seen || n->builds_seen != n->builds.n)
		see_files(n, &n->places);
	n->files_seen = files;
	n->builds_seen = n->builds.n;
	(void)pthread_mutex_unlock(&n->lock);
	return r;
}

static bool has_work(const struct build *b)
{
	return b->has_file && !b->is_given_up && b->n_done < b->n_frames;
}

/* The next build whose turn it is; NULL: none is due. */
static struct build *next_build(struct namer *n)
{
	int64_t now = clock_mono_ns();
	for (uint32_t i = 0; i < n->builds.n && !n->is_full; i++) {
		uint32_t at = (n->turn + i) % n->builds.n;
		if (!has_work(&n->builds.data[at]) || n->builds.data[at].not_before_ns > now)
			continue;
		n->turn = at + 1;
		return &n->builds.data[at];
	}
	return NULL;
}

/* When there is something to do, if nobody pokes; INT64_MAX: not by itself. */
static int64_t next_due(const struct namer *n)
{
	int64_t due = n->blocks_due_ns;
	for (uint32_t i = 0; i < n->builds.n && !n->is_full; i++)
		if (has_work(&n->builds.data[i]) && n->builds.data[i].not_before_ns < due)
			due = n->builds.data[i].not_before_ns;
	return due;
}

/* ---- a batch: take frames, with the lock ---- */

static void batch_done(struct batch *b)
{
	free(b->places);
	free(b->addrs);
	framelines_done(&b->found);
}

static int batch_init(struct batch *b, struct membudget *budget)
{
	*b = (struct batch){
		.places = malloc(BATCH * sizeof(*b->places)),
		.addrs = malloc(BATCH * sizeof(*b->addrs)),
		.outcome = { .end = DWARF_END_WHOLE },
	};
	int r = framelines_init(&b->found, budget);
	return r == 0 && (!b->places || !b->addrs) ? -ENOMEM : r;
}

static int compare_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

/* What was found by symbols alone, for a file that says more. */
static void forget(struct namer *n, const struct dict *d, uint32_t build)
{
	(void)pthread_rwlock_wrlock(&n->lines_lock);
	for (uint32_t i = 1; i < n->n_frames_seen; i++)
		if (n->build_of_mapping.data[d->frames.data[i].mapping.v] == build)
			framelines_forget(&n->lines, (struct frame_id){ i });
	n->generation++;
	(void)pthread_rwlock_unlock(&n->lines_lock);
}

/* Frames of the build that were not looked up yet. */
static void collect(struct namer *n, struct build *b, const struct elf *elf, struct batch *batch)
{
	uint32_t build = (uint32_t)(b - n->builds.data) + 1;
	const struct dict *d = &n->places;
	if (b->is_anew)
		forget(n, d, build);
	b->is_anew = false;
	for (uint32_t i = 1; i < n->n_frames_seen && batch->n < BATCH; i++) {
		const struct frame *f = &d->frames.data[i];
		const struct mapping *m = &d->mappings.data[f->mapping.v];
		if (n->build_of_mapping.data[f->mapping.v] != build ||
		    framelines_chain(&n->lines, i) != FRAMELINES_UNKNOWN)
			continue;
		struct place *place = &batch->places[batch->n++];
		place->frame = i;
		if (dwarf_address(elf, m, f->address, &place->address) && place->address != NOWHERE)
			batch->n_addrs++;
		else
			place->address = NOWHERE;
	}
	qsort(batch->places, batch->n, sizeof(*batch->places), compare_place);
	for (uint32_t i = 0; i < batch->n_addrs; i++)
		batch->addrs[i] = batch->places[i].address;
}

/* The build's file; -ENOENT when it went meanwhile. */
static int open_file(struct namer *n, const struct build *b, struct elf *ret)
{
	char id[ELF_BUILD_ID_HEX];
	(void)snprintf(id, sizeof(id), "%s", strtab_cstr(&n->places.strings, b->id));
	_cleanup_(close_fd)
	int fd = debugstore_fd(n->server->debugstore, id);
	return fd < 0 || elf_init(ret, fd, NULL) < 0 ? -ENOENT : take_fd(fd);
}

/* ---- a batch: ask and publish, without the lock ---- */

static int put_answer(void *arg, const struct dwarf_answer *answer)
{
	struct batch *batch = arg;
	struct source_line lines[FRAMELINES_MAX];
	uint32_t n = dwarf_lines(answer, lines);
	return framelines_put(&batch->found, (struct frame_id){ answer->index + 1 }, lines, n);
}

/* Copies what was found for place i; what a whole answer leaves out is there in vain. */
static int publish_place(struct namer *n, struct batch *b, uint32_t i)
{
	struct source_line lines[FRAMELINES_MAX];
	uint32_t n_lines;
	const struct frame_line *found = framelines_get(&b->found, i + 1, &n_lines);
	bool is_known = i >= b->n_addrs || b->outcome.end == DWARF_END_WHOLE ||
			framelines_chain(&b->found, i + 1) != FRAMELINES_UNKNOWN;
	if (!is_known)
		return 0;
	for (uint32_t k = 0; k < n_lines; k++) {
		const struct strtab *strings = &b->found.strings;
		const struct line_function *f = &b->found.functions.data[found[k].function];
		lines[k] = (struct source_line){ strtab_get(strings, f->name), strtab_get(strings, f->system_name),
						 strtab_get(strings, f->file), found[k].line };
	}
	int r = framelines_put(&n->lines, (struct frame_id){ b->places[i].frame }, lines, n_lines);
	b->n_done += r == 0;
	b->n_named += r == 0 && n_lines > 0;
	return r;
}

static int publish(struct namer *n, struct batch *b)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < b->n;) {
		(void)pthread_rwlock_wrlock(&n->lines_lock);
		for (uint32_t end = i + CHUNK; r == 0 && i < b->n && i < end; i++)
			r = publish_place(n, b, i);
		n->generation++;
		(void)pthread_rwlock_unlock(&n->lines_lock);
	}
	if (b->n_named) {
		n->has_lines = true;
		live_names(n->server->live);
	}
	n->memory_used = n->budget.used;
	return r;
}

/* -ENOBUFS: no room for more names; other failures are the machine's. */
static int run_batch(struct namer *n, struct batch *b, int fd)
{
	struct error err = { "" };
	struct dwarf_job job = {
		.program = n->program,
		.fd = fd,
		.addrs = b->addrs,
		.n = b->n_addrs,
		.memory_mib = n->memory_mib,
		.cpu_s = JOB_CPU_S,
		.timeout_ms = JOB_TIMEOUT_MS,
		.stop = &n->stop,
	};
	int64_t start = clock_mono_ns();
	int r = dwarf_job_run(&job, (struct dwarf_sink){ put_answer, b }, &b->outcome, &err);
	b->took_ns = clock_mono_ns() - start;
	if (r == 0)
		r = publish(n, b);
	if (r < 0 && r != -ENOBUFS)
		log_warn_every(&n->gate, 60, "debug files are not read: %s", err.text[0] ? err.text : strerror(-r));
	return r;
}

/* ---- a batch: what it means for the build, with the lock ---- */

static void end_batch(struct namer *n, struct build *b, const struct batch *batch)
{
	const struct dwarf_outcome *o = &batch->outcome;
	n->n_jobs++;
	n->n_answers += o->n_answers;
	n->cpu_ns += (uint64_t)o->cpu_ns;
	n->n_cut += o->end == DWARF_END_TIME;
	n->n_failed += o->end == DWARF_END_PROBLEM || o->end == DWARF_END_GARBLED;
	b->n_done += batch->n_done;
	b->n_named += batch->n_named;
	b->not_before_ns = clock_mono_ns() + batch->took_ns * JOB_REST;
	if (o->end == DWARF_END_WHOLE || n->stop)
		return;
	b->is_given_up = o->end != DWARF_END_TIME || batch->n_done == 0 || ++b->n_cuts > MAX_CUTS;
	log_warn_every(&n->gate, 10, "a debug file cannot be read to its end answers=%u of=%u given_up=%d: %s",
		       o->n_answers, batch->n_addrs, b->is_given_up, o->why.text);
}

/* The lock is given up while the job runs, and builds may move meanwhile. */
static void name_build(struct namer *n, struct build *b)
{
	uint32_t at = (uint32_t)(b - n->builds.data);
	struct elf elf;
	_cleanup_(batch_done)
	struct batch batch;
	int r = batch_init(&batch, &n->budget);
	_cleanup_(close_fd)
	int fd = open_file(n, b, &elf);
	b->has_file = fd >= 0;
	if (fd < 0)
		return;
	if (r == 0) {
		collect(n, b, &elf, &batch);
		(void)pthread_mutex_unlock(&n->lock);
		r = run_batch(n, &batch, fd);
		(void)pthread_mutex_lock(&n->lock);
		b = &n->builds.data[at];
	}
	if (r == 0) {
		end_batch(n, b, &batch);
	} else if (r == -ENOBUFS) {
		n->is_full = true;
		log_warn("no room for more names of frames limit=%zu: restart with a larger --memory-limit",
			 n->budget.max);
	} else {
		b->is_given_up = true;
	}
}

/* ---- the thread ---- */

/* Waits until there may be something to do; false when it is time to end.
 * Called and returns with the lock held. */
static bool wait_for_work(struct namer *n)
{
	while (!n->stop) {
		int64_t now = clock_mono_ns(), due = n->is_poked ? now : next_due(n);
		if (due < n->next_round_ns)
			due = n->next_round_ns;
		if (due <= now)
			break;
		struct timespec until = { .tv_sec = due / 1000000000, .tv_nsec = due % 1000000000 };
		if (due == INT64_MAX)
			(void)pthread_cond_wait(&n->wake, &n->lock);
		else
			(void)pthread_cond_timedwait(&n->wake, &n->lock, &until);
	}
	n->is_poked = false;
	n->next_round_ns = clock_mono_ns() + ROUND_NS;
	return !n->stop;
}

static void *namer_thread(void *arg)
{
	struct namer *n = arg;
	(void)pthread_mutex_lock(&n->lock);
	while (wait_for_work(n)) {
		int64_t took_ns = 0;
		(void)pthread_mutex_unlock(&n->lock);
		if (see(n, &took_ns) < 0)
			log_warn_every(&n->gate, 60, "debug files are not read: out of memory");
		(void)pthread_mutex_lock(&n->lock);
		/* The next block after a rest. */
		n->blocks_due_ns = took_ns ? clock_mono_ns() + took_ns * JOB_REST : INT64_MAX;
		for (struct build *b; !n->stop && (b = next_build(n));)
			name_build(n, b);
	}
	(void)pthread_mutex_unlock(&n->lock);
	return NULL;
}

static int init_locks(struct namer *n)
{
	pthread_condattr_t cond;
	pthread_rwlockattr_t lines;
	(void)pthread_condattr_init(&cond);
	(void)pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&n->wake, &cond);
	(void)pthread_condattr_destroy(&cond);
	(void)pthread_mutex_init(&n->lock, NULL);
	(void)pthread_rwlockattr_init(&lines);
	/* A stream of queries must not keep the thread out. */
	(void)pthread_rwlockattr_setkind_np(&lines, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&n->lines_lock, &lines);
	(void)pthread_rwlockattr_destroy(&lines);
	return framelines_init(&n->lines, &n->budget);
}

void namer_free(struct namer **namer)
{
	struct namer *n = *namer;
	if (!n)
		return;
	framelines_done(&n->lines);
	vec_done(NULL, &n->builds);
	vec_done(NULL, &n->build_of_mapping);
	u64map_done(&n->build_ids);
	u64map_done(&n->visited);
	dict_done(&n->places);
	(void)pthread_rwlock_destroy(&n->lines_lock);
	(void)pthread_cond_destroy(&n->wake);
	(void)pthread_mutex_destroy(&n->lock);
	free(n);
	*namer = NULL;
}

int namer_start(struct server *s, struct namer **ret, struct error *err)
{
	_cleanup_(namer_free)
	struct namer *n = calloc(1, sizeof(*n));
	if (!n)
		return error_set(err, -ENOMEM, "out of memory");
	n->server = s;
	n->budget = membudget_of(NAMES_SHARE(s->options->memory_limit) / 2);
	n->places_budget = membudget_of(NAMES_SHARE(s->options->memory_limit) / 2);
	n->blocks_due_ns = INT64_MAX;
	u64map_init(&n->build_ids, NULL);
	u64map_init(&n->visited, NULL);
	uint64_t half_mib = s->options->memory_limit >> 21;
	n->memory_mib = half_mib < MIN_MEMORY ? MIN_MEMORY : (unsigned)half_mib;
	n->is_poked = true;
	int r = init_locks(n);
	if (r == 0)
		r = dict_init(&n->places, &n->places_budget);
	if (r < 0)
		return error_set(err, r, "no memory for names");
	r = sibling_path("wick-dwarf", n->program, err);
	if (r < 0)
		return r;
	if (access(n->program, X_OK) < 0)
		log_warn("debug files are kept but not read: %s: %s", n->program, strerror(errno));
	int e = pthread_create(&n->thread, NULL, namer_thread, n);
	if (e)
		return error_set(err, -e, "cannot start the naming thread: %s", strerror(e));
	*ret = take_ptr(n);
	return 0;
}

/* ---- for other threads ---- */

static void unlock(struct namer *n)
{
	if (n->is_poked || n->stop)
		(void)pthread_cond_signal(&n->wake);
	(void)pthread_mutex_unlock(&n->lock);
}

void namer_stop(struct namer *n)
{
	if (!n)
		return;
	n->stop = true;
	(void)pthread_mutex_lock(&n->lock);
	unlock(n);
	(void)pthread_join(n->thread, NULL);
}

/* Whoever holds the lock looks at the flag before the thread may sleep. */
void namer_poke(struct namer *n)
{
	n->is_poked = true;
	if (pthread_mutex_trylock(&n->lock) == 0)
		unlock(n);
}

/* The column of the part, if it is not what is known now. With both locks. */
static int make_column(struct namer *n, const struct part *p)
{
	const struct dict *d = &p->names.dict;
	struct part_lines *l = p->lines;
	if (l->generation == n->generation && l->n == d->frames.n)
		return 0;
	uint32_t *chain = realloc(l->chain, (size_t)d->frames.n * sizeof(*chain));
	if (!chain)
		return -ENOMEM;
	l->chain = chain;
	l->n = d->frames.n;
	l->generation = n->generation;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < l->n; i++) {
		uint32_t place = 0;
		if (is_wanted(d, &d->frames.data[i]))
			r = place_of(n, d, &d->frames.data[i], &place);
		chain[i] = place ? framelines_chain(&n->lines, place) : FRAMELINES_UNKNOWN;
	}
	if (r < 0)
		l->n = 0;
	count_places(n);
	return r;
}

const struct framelines *namer_read_begin(struct namer *n, const struct part *p, struct framelines *storage)
{
	if (!n->has_lines)
		return NULL;
	(void)pthread_mutex_lock(&n->lock);
	(void)pthread_rwlock_rdlock(&n->lines_lock);
	int r = make_column(n, p);
	(void)pthread_mutex_unlock(&n->lock);
	if (r < 0) {
		/* Without memory the names that were stored have to do. */
		(void)pthread_rwlock_unlock(&n->lines_lock);
		return NULL;
	}
	*storage = n->lines;
	storage->chain.data = p->lines->chain;
	storage->chain.n = storage->chain.cap = p->lines->n;
	return storage;
}

void namer_read_end(struct namer *n, const struct framelines *lines)
{
	if (lines)
		(void)pthread_rwlock_unlock(&n->lines_lock);
}

static int compare_build(const void *a, const void *b)
{
	const struct namer_build *x = a, *y = b;
	if (x->n_frames != y->n_frames)
		return x->n_frames > y->n_frames ? -1 : 1;
	return strcmp(x->build_id, y->build_id);
}

int namer_list(struct namer *n, uint32_t max, struct namer_build **ret, uint32_t *ret_n)
{
	int r = see(n, NULL);
	(void)pthread_mutex_lock(&n->lock);
	uint32_t n_rows = 0;
	struct namer_build *rows = r < 0 ? NULL : calloc((size_t)n->builds.n + 1, sizeof(*rows));
	const struct strtab *strings = &n->places.strings;
	for (uint32_t i = 0; rows && i < n->builds.n; i++) {
		const struct build *b = &n->builds.data[i];
		struct namer_build *row = &rows[n_rows];
		if (b->n_frames == 0 || b->has_file)
			continue;
		row->n_frames = b->n_frames;
		(void)snprintf(row->build_id, sizeof(row->build_id), "%.*s", SLICE_FMT(strtab_get(strings, b->id)));
		(void)snprintf(row->path, sizeof(row->path), "%.*s", SLICE_FMT(strtab_get(strings, b->path)));
		n_rows++;
	}
	unlock(n);
	if (!rows)
		return -ENOMEM;
	qsort(rows, n_rows, sizeof(*rows), compare_build);
	*ret = rows;
	*ret_n = n_rows < max ? n_rows : max;
	return 0;
}

void namer_get_stats(struct namer *n, struct namer_stats *ret)
{
	/* Without memory, what was counted before has to do. */
	(void)!see(n, NULL);
	(void)pthread_mutex_lock(&n->lock);
	*ret = (struct namer_stats){
		.n_answers = n->n_answers,
		.n_jobs = n->n_jobs,
		.n_cut = n->n_cut,
		.n_failed = n->n_failed,
		.cpu_ns = n->cpu_ns,
		.memory_limit = n->budget.max + n->places_budget.max,
		.is_full = n->is_full,
		.memory_used = n->places_budget.used,
	};
	for (uint32_t i = 0; i < n->builds.n; i++) {
		const struct build *b = &n->builds.data[i];
		ret->n_frames += b->n_frames;
		ret->n_named += b->n_named;
		ret->n_pending += has_work(b) && !n->is_full ? b->n_frames - b->n_done : 0;
	}
	unlock(n);
	ret->memory_used += n->memory_used;
}
