/* SPDX-License-Identifier: Apache-2.0 */
/* Real processes, sampled for real: with BPF as root, with perf_event alone
 * as another user. What the kernel does not allow here is skipped. */
#include "agent/recorder.h"
#include "agent/recording.h"
#include "base/clock.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define RATE_HZ 997
#define NOBODY	65534

static volatile uint64_t sink;
static volatile unsigned round_size = 20000; /* volatile: no copy of a function for one value */

/* A chain of multiplications takes what it takes, wherever the linker puts it. */
static inline __attribute__((always_inline)) void multiply(unsigned n)
{
	uint64_t x = n;
	for (unsigned i = 0; i < n; i++) {
		x = x * 6364136223846793005u + 1;
		__asm__ volatile("" : "+r"(x));
	}
	sink = x;
}

static __attribute__((noinline)) void spin_hot(void)
{
	multiply(3 * round_size);
}

static __attribute__((noinline)) void spin_cold(void)
{
	multiply(round_size);
}

static __attribute__((noinline)) void *spin(void *arg)
{
	(void)prctl(PR_SET_NAME, "spinner");
	for (;;) {
		spin_hot();
		spin_cold();
	}
	return NULL;
}

static __attribute__((noinline)) void *read_zeros(void *arg)
{
	static char zeros[1 << 20];
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	for (;;)
		sink += (uint64_t)read(fd, zeros, sizeof(zeros));
	return NULL;
}

/* A child that runs `body` once a byte is written to *ret_go. */
static pid_t start_child(void *(*body)(void *), int *ret_go)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		char byte;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || read(ends[0], &byte, 1) != 1)
			_exit(1);
		(void)body(NULL);
	}
	assert_true(pid > 0);
	(void)close(ends[0]);
	*ret_go = ends[1];
	return pid;
}

static void release(int *go)
{
	assert_int_equal(write(*go, "x", 1), 1);
	(void)close(*go);
}

static void end_child(pid_t pid)
{
	int status;
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int record_for(struct recording *r, int64_t ns, struct error *err)
{
	int64_t end = clock_mono_ns() + ns;
	int e = 0;
	while (e == 0 && clock_mono_ns() < end) {
		struct pollfd p = { .fd = recording_fd(r), .events = POLLIN };
		int left_ms = (int)((end - clock_mono_ns()) / 1000000) + 1, due_ms = recording_timeout_ms(r);
		(void)poll(&p, 1, left_ms < due_ms ? left_ms : due_ms);
		e = recording_step(r, err);
	}
	return e;
}

struct shares {
	int64_t total, hot, cold, kernel, spinner;
	unsigned n_pids;
	int64_t pids[8];
};

static void count_pid(struct shares *s, int64_t pid)
{
	for (unsigned i = 0; i < s->n_pids; i++)
		if (s->pids[i] == pid)
			return;
	if (s->n_pids < ARRAY_SIZE(s->pids))
		s->pids[s->n_pids++] = pid;
}

static bool has_frame(const struct profile *p, struct node_id node, const char *name, enum frame_kind kind)
{
	for (; node.v; node = p->dict.node_parent.data[node.v]) {
		const struct frame *f = &p->dict.frames.data[p->dict.node_frame.data[node.v].v];
		struct str_id id = p->dict.functions.data[f->function.v].name;
		if (f->kind == kind && (!name || strcmp(strtab_cstr(&p->dict.strings, id), name) == 0))
			return true;
	}
	return false;
}

static struct shares shares_of(const struct profile *p)
{
	struct shares s = { 0 };
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		int64_t v = p->value[0].data[i];
		uint32_t n;
		const struct label *set = profile_label_set(p, p->labels.data[i], &n);
		s.total += v;
		s.hot += has_frame(p, p->node.data[i], "spin_hot", FRAME_USER) ? v : 0;
		s.cold += has_frame(p, p->node.data[i], "spin_cold", FRAME_USER) ? v : 0;
		s.kernel += has_frame(p, p->node.data[i], NULL, FRAME_KERNEL) ? v : 0;
		for (uint32_t k = 0; k < n; k++) {
			const char *key = strtab_cstr(&p->dict.strings, set[k].key);
			if (strcmp(key, "pid") == 0)
				count_pid(&s, set[k].num);
			if (strcmp(key, "thread_name") == 0 &&
			    strcmp(strtab_cstr(&p->dict.strings, set[k].str), "spinner") == 0)
				s.spinner += v;
		}
	}
	return s;
}

static void assert_share(int64_t part, int64_t total, double expected, double tolerance)
{
	assert_true(total > 0);
	double got = 100.0 * (double)part / (double)total;
	if (got < expected - tolerance || got > expected + tolerance)
		fail_msg("share %.1f %%, expected %.1f", got, expected);
}

/* NULL, and the case is skipped, where BPF is not to be had. */
static struct recording *open_bpf(const struct recording_options *o, struct profile *p)
{
	struct recording *r = NULL;
	struct error err = { .text = "" };
	assert_int_equal(profile_init(p, NULL), 0);
	int e = recording_open(o, p, &r, &err);
	if (e == 0 && strncmp(recording_stats(r).info.source, "perf:", 5) != 0)
		return r;
	recording_free(&r);
	profile_done(p);
	return NULL;
}

static void test_one_process(void **state)
{
	int go;
	pid_t pid = start_child(spin, &go);
	struct recording_options o = { .target = RECORD_PID, .pid = pid, .rate_hz = RATE_HZ };
	struct profile p;
	struct error err;
	_cleanup_(recording_free)
	struct recording *r = open_bpf(&o, &p);
	if (!r) {
		end_child(pid);
		skip_because("BPF is not available to this user here");
	}
	release(&go);
	assert_int_equal(record_for(r, 1500000000, &err), 0);
	assert_false(recording_target_ended(r));
	assert_int_equal(recording_finish(r, &err), 0);
	end_child(pid);
	assert_true(recording_target_ended(r));
	struct recording_stats stats = recording_stats(r);
	struct shares s = shares_of(&p);
	assert_true(stats.info.n_samples > 100);
	assert_int_equal(s.total, (int64_t)stats.info.n_samples * (1000000000 / RATE_HZ));
	assert_int_equal(stats.info.lost[LOSS_stack_missing], 0);
	assert_share(s.hot, s.hot + s.cold, 75, 8);
	assert_share(s.hot + s.cold, s.total, 100, 10);
	assert_share(s.spinner, s.total, 100, 5);
	assert_int_equal(s.n_pids, 1);
	assert_int_equal(s.pids[0], pid);
	assert_int_equal(p.comments.n, 1);
	struct window_info info;
	assert_true(window_info_parse(strtab_get(&p.dict.strings, p.comments.data[0]), &info));
	assert_int_equal(info.n_samples, stats.info.n_samples);
	profile_done(&p);
}

static void test_kernel_frames(void **state)
{
	int go;
	pid_t pid = start_child(read_zeros, &go);
	struct recording_options o = { .target = RECORD_PID, .pid = pid, .rate_hz = RATE_HZ };
	struct profile p;
	struct error err;
	_cleanup_(recording_free)
	struct recording *r = open_bpf(&o, &p);
	if (!r) {
		end_child(pid);
		skip_because("BPF is not available to this user here");
	}
	release(&go);
	assert_int_equal(record_for(r, 1000000000, &err), 0);
	assert_int_equal(recording_finish(r, &err), 0);
	end_child(pid);
	struct shares s = shares_of(&p);
	/* The rest is the way there and back. */
	assert_share(s.kernel, s.total, 80, 20);
	profile_done(&p);
}

/* Becomes a parent before it spins. */
static void *spin_in_child(void *arg)
{
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)spin(NULL);
	}
	return spin(NULL);
}

static void test_children_are_followed(void **state)
{
	int go;
	pid_t pid = start_child(spin_in_child, &go);
	struct recording_options o = { .target = RECORD_TREE, .pid = pid, .rate_hz = RATE_HZ };
	struct profile p;
	struct error err;
	_cleanup_(recording_free)
	struct recording *r = open_bpf(&o, &p);
	if (!r) {
		end_child(pid);
		skip_because("BPF is not available to this user here");
	}
	release(&go);
	assert_int_equal(record_for(r, 1500000000, &err), 0);
	assert_int_equal(recording_finish(r, &err), 0);
	end_child(pid);
	struct shares s = shares_of(&p);
	assert_int_equal(s.n_pids, 2);
	assert_share(s.hot, s.hot + s.cold, 75, 8);
	profile_done(&p);
}

struct race {
	struct recorder *recorder;
	uint64_t n_samples, n_lost, n_windows;
	uint32_t last;
};

static int count_series(void *arg, const struct window *w, uint32_t series, const struct window_info *info)
{
	struct race *race = arg;
	race->n_samples += info->n_samples;
	for (int i = 0; i < N_LOSSES; i++)
		if (loss_is_missing((enum loss)i))
			race->n_lost += info->lost[i];
	race->n_windows += w->number != race->last;
	race->last = w->number;
	return 0;
}

/* Windows that end all the time: every sample the kernel sent is in one of
 * them, or counted as lost, and stacks are where their samples are. */
static void test_window_turns_lose_nothing(void **state)
{
	int go;
	pid_t pid = start_child(spin, &go);
	struct race race = { 0 };
	struct recorder_options o = {
		.sampler = { .target = SAMPLE_PROCESS, .pid = pid, .rate_hz = 1000 },
		.window_ms = 120,
		.own_service = "test",
		.always_own = true,
	};
	struct error err;
	_cleanup_(recorder_free)
	struct recorder *r = NULL;
	int e = recorder_open(&o, (struct recorder_sink){ count_series, NULL, &race }, &r, &err);
	if (e < 0 || strncmp(sampler_source(recorder_sampler(r)), "perf:", 5) == 0) {
		end_child(pid);
		skip_because("BPF is not available to this user here");
	}
	release(&go);
	int64_t end = clock_mono_ns() + 2000000000;
	while (clock_mono_ns() < end) {
		struct pollfd p = { .fd = recorder_fd(r), .events = POLLIN };
		(void)poll(&p, 1, recorder_timeout_ms(r));
		assert_int_equal(recorder_step(r, &err), 0);
	}
	assert_int_equal(recorder_finish(r, &err), 0);
	end_child(pid);
	struct recorder_stats stats = recorder_stats(r);
	assert_true(race.n_windows >= 8);
	assert_true(race.n_samples > 100);
	assert_int_equal(race.n_lost, 0);
	assert_int_equal(race.n_samples, stats.info.n_samples);
	assert_true(stats.sampler.run_ns > 0);
}

enum { UNPRIVILEGED_OK, UNPRIVILEGED_SKIPPED, UNPRIVILEGED_FAILED };

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			(void)fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, err.text);                    \
			return UNPRIVILEGED_FAILED;                                                                    \
		}                                                                                                      \
	} while (0)

static int record_unprivileged(enum recording_target target, bool names)
{
	int go;
	pid_t pid = start_child(spin, &go);
	struct recording_options o = { .target = target, .pid = pid, .rate_hz = RATE_HZ };
	struct profile p;
	struct error err = { .text = "" };
	_cleanup_(recording_free)
	struct recording *r = NULL;
	CHECK(profile_init(&p, NULL) == 0);
	int e = recording_open(&o, &p, &r, &err);
	if (e == -EPERM) {
		end_child(pid);
		profile_done(&p);
		return strstr(err.text, "CAP_PERFMON") ? UNPRIVILEGED_SKIPPED : UNPRIVILEGED_FAILED;
	}
	CHECK(e == 0);
	CHECK(strncmp(recording_stats(r).info.source, "perf:", 5) == 0);
	release(&go);
	CHECK(record_for(r, 1500000000, &err) == 0);
	CHECK(recording_finish(r, &err) == 0);
	end_child(pid);
	struct shares s = shares_of(&p);
	CHECK(recording_stats(r).info.n_samples > 100);
	CHECK(s.total > 0);
	if (names && target == RECORD_PID) {
		CHECK(s.hot > 2 * s.cold && s.hot < 5 * s.cold);
		CHECK(s.n_pids == 1 && s.pids[0] == pid);
	}
	profile_done(&p);
	return UNPRIVILEGED_OK;
}

/* Becomes nobody for good, in a process of its own. */
static int as_nobody(void)
{
	if (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return UNPRIVILEGED_SKIPPED;
	/* Another uid makes a process unreadable for its own user. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	bool names = open("/proc/self/exe", O_RDONLY | O_CLOEXEC) >= 0;
	int one = record_unprivileged(RECORD_PID, names), all = record_unprivileged(RECORD_ALL, names);
	return one > all ? one : all;
}

static void test_without_privilege(void **state)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(as_nobody());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == UNPRIVILEGED_SKIPPED)
		skip_because("kernel.perf_event_paranoid or the sandbox forbids perf_event_open here");
	assert_int_equal(status, 0);
}

static void test_bad_targets(void **state)
{
	struct profile p;
	struct error err;
	struct recording *r = NULL;
	struct recording_options o = { .target = RECORD_PID, .pid = INT32_MAX, .rate_hz = 100 };
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(recording_open(&o, &p, &r, &err), -ESRCH);
	assert_non_null(strstr(err.text, "2147483647"));
	profile_done(&p);
	assert_int_equal(profile_init(&p, NULL), 0);
	o.rate_hz = 0;
	assert_int_equal(recording_open(&o, &p, &r, &err), -EINVAL);
	o.rate_hz = RECORD_RATE_MAX + 1;
	assert_int_equal(recording_open(&o, &p, &r, &err), -EINVAL);
	profile_done(&p);
	assert_null(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_process),	      cmocka_unit_test(test_kernel_frames),
		cmocka_unit_test(test_children_are_followed), cmocka_unit_test(test_window_turns_lose_nothing),
		cmocka_unit_test(test_without_privilege),     cmocka_unit_test(test_bad_targets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
