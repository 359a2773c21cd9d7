/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/job.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define READ_SIZE    65536
#define STOP_STEP_MS 200
/* The reader's strings beside the process's own memory. */
#define READER_MEMORY ((size_t)64 << 20)

struct run {
	const struct dwarf_job *job;
	pid_t pid;
	int pipe; /* its answers */
	int64_t deadline_ns;
	bool timed_out;
	struct answer_reader reader;
};

static int addresses_fd(const struct dwarf_job *job, struct error *err)
{
	_cleanup_(close_fd)
	int fd = memfd_create("addresses", MFD_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "memfd_create: %s", strerror(errno));
	int r = fd_write_all(fd, job->addrs, (size_t)job->n * sizeof(*job->addrs));
	return r < 0 ? error_set(err, r, "no memory for the addresses") : take_fd(fd);
}

/* Plain signals and no environment: nothing of us gets in but three descriptors. */
static int spawn(const struct dwarf_job *job, int addresses, int answers, pid_t *ret)
{
	char memory[16], cpu[16];
	(void)snprintf(memory, sizeof(memory), "%u", job->memory_mib);
	(void)snprintf(cpu, sizeof(cpu), "%u", job->cpu_s);
	char *argv[] = { "wick-dwarf", memory, cpu, job->may_open ? "open" : NULL, NULL }, *envp[] = { NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int e = posix_spawn_file_actions_init(&files);
	if (e)
		return -e;
	e = posix_spawnattr_init(&attr);
	if (e) {
		(void)posix_spawn_file_actions_destroy(&files);
		return -e;
	}
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	e = posix_spawn_file_actions_adddup2(&files, addresses, STDIN_FILENO);
	if (!e)
		e = posix_spawn_file_actions_adddup2(&files, answers, STDOUT_FILENO);
	if (!e)
		e = posix_spawn_file_actions_adddup2(&files, job->fd, 3);
	if (!e)
		e = posix_spawn(ret, job->program, &files, &attr, argv, envp);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return -e;
}

static int start(struct run *run, struct error *err)
{
	_cleanup_(close_fd)
	int addresses = addresses_fd(run->job, err);
	if (addresses < 0)
		return addresses;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, -errno, "pipe: %s", strerror(errno));
	int r = spawn(run->job, addresses, ends[1], &run->pid);
	(void)close(ends[1]);
	run->pipe = ends[0];
	return r < 0 ? error_set(err, r, "%s: %s", run->job->program, strerror(-r)) : 0;
}

/* 1: bytes or the end of the pipe; 0: time is up; -errno. */
static int wait_bytes(struct run *run)
{
	for (;;) {
		int64_t left_ms = (run->deadline_ns - clock_mono_ns()) / 1000000;
		struct pollfd p = { .fd = run->pipe, .events = POLLIN };
		if (left_ms <= 0 || (run->job->stop && *run->job->stop))
			return 0;
		int n = poll(&p, 1, left_ms > STOP_STEP_MS ? STOP_STEP_MS : (int)left_ms);
		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int read_answers(struct run *run, struct error *err)
{
	static const size_t size = READ_SIZE;
	_cleanup_(free_ptr)
	uint8_t *bytes = malloc(size);
	if (!bytes)
		return error_set(err, -ENOMEM, "out of memory");
	for (;;) {
		int r = wait_bytes(run);
		if (r <= 0) {
			run->timed_out = r == 0;
			return r;
		}
		ssize_t n = read(run->pipe, bytes, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? error_set(err, -errno, "read: %s", strerror(errno)) : 0;
		r = answer_reader_feed(&run->reader, slice_of(bytes, (size_t)n), err);
		if (r < 0)
			return r;
	}
}

static int64_t cpu_ns(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * INT64_C(1000000000) +
	       (u->ru_utime.tv_usec + u->ru_stime.tv_usec) * INT64_C(1000);
}

/* The process has closed its pipe or is not wanted any more. */
static void end_process(struct run *run, int *ret_status, int64_t *ret_cpu_ns)
{
	struct rusage usage = { 0 };
	*ret_status = 0;
	(void)kill(run->pid, SIGKILL);
	while (wait4(run->pid, ret_status, 0, &usage) < 0 && errno == EINTR)
		;
	*ret_cpu_ns = cpu_ns(&usage);
}

/* `result`: of reading the answers; what is wrong with them is said already. */
static void describe(const struct run *run, int result, int status, struct dwarf_outcome *o)
{
	const struct answer_reader *r = &run->reader;
	int64_t limit_ns = run->job->cpu_s * INT64_C(1000000000);
	o->n_answers = r->n_answers;
	if (result < 0 && !r->sink_result) {
		o->end = DWARF_END_GARBLED;
	} else if (r->has_end) {
		o->end = DWARF_END_WHOLE;
	} else if (run->timed_out || (WIFSIGNALED(status) && o->cpu_ns >= limit_ns)) {
		o->end = DWARF_END_TIME;
		(void)error_set(&o->why, 0, "it took more than %u s of CPU time or %lld s", run->job->cpu_s,
				(long long)run->job->timeout_ms / 1000);
	} else {
		o->end = DWARF_END_PROBLEM;
		if (r->problem[0])
			(void)error_set(&o->why, 0, "%s", r->problem);
		else if (WIFSIGNALED(status))
			(void)error_set(&o->why, 0, "the process that read it was ended by signal %d",
					WTERMSIG(status));
		else if (WEXITSTATUS(status) == DWARF_EXIT_MEMORY)
			(void)error_set(&o->why, 0, "it takes more than %u MiB to read", run->job->memory_mib);
		else
			(void)error_set(&o->why, 0, "the process that read it ended with status %d",
					WEXITSTATUS(status));
	}
}

int dwarf_job_run(const struct dwarf_job *job, struct dwarf_sink sink, struct dwarf_outcome *ret, struct error *err)
{
	struct run run = { .job = job,
			   .pipe = -1,
			   .deadline_ns = clock_mono_ns() + job->timeout_ms * INT64_C(1000000) };
	*ret = (struct dwarf_outcome){ .end = DWARF_END_WHOLE };
	if (job->n == 0)
		return 0;
	if (job->n > DWARF_MAX_BATCH)
		return error_set(err, -E2BIG, "%u addresses are more than a batch", job->n);
	int r = answer_reader_init(&run.reader, job->n, READER_MEMORY, sink);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = start(&run, err);
	if (r == 0) {
		int status;
		r = read_answers(&run, &ret->why);
		end_process(&run, &status, &ret->cpu_ns);
		describe(&run, r, status, ret);
		r = run.reader.sink_result;
	}
	close_fd(&run.pipe);
	answer_reader_done(&run.reader);
	return r;
}
