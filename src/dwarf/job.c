/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/job.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define READ_SIZE ((size_t)64 << 10)
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

static int spawn(const struct dwarf_job *job, int addresses, int answers, pid_t *ret)
{
	char memory[16], cpu[16];
	(void)snprintf(memory, sizeof(memory), "%u", job->memory_mib);
	(void)snprintf(cpu, sizeof(cpu), "%u", job->cpu_s);
	char *argv[] = { "wick-dwarf", memory, cpu, job->may_open ? "open" : NULL, NULL }, *envp[] = { NULL };
	const int fds[] = { addresses, answers, -1, job->fd };
	return child_start(job->program, argv, envp, fds, ARRAY_SIZE(fds), ret);
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

static int read_answers(struct run *run, struct error *err)
{
	_cleanup_(free_ptr)
	uint8_t *bytes = malloc(READ_SIZE);
	if (!bytes)
		return error_set(err, -ENOMEM, "out of memory");
	ssize_t n;
	while ((n = child_read(run->pipe, bytes, READ_SIZE, run->deadline_ns, run->job->stop)) > 0) {
		int r = answer_reader_feed(&run->reader, slice_of(bytes, (size_t)n), err);
		if (r < 0)
			return r;
	}
	run->timed_out = n == -ETIME;
	return n < 0 && !run->timed_out ? error_set(err, (int)n, "read: %s", strerror((int)-n)) : 0;
}

/* It ended by itself, before it was through. */
static void set_problem(const struct run *run, int status, struct error *why)
{
	if (run->reader.problem[0])
		(void)error_set(why, 0, "%s", run->reader.problem);
	else if (WIFSIGNALED(status))
		(void)error_set(why, 0, "the process that read it was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == DWARF_EXIT_MEMORY)
		(void)error_set(why, 0, "it takes more than %u MiB to read", run->job->memory_mib);
	else
		(void)error_set(why, 0, "the process that read it ended with status %d", WEXITSTATUS(status));
}

/* `result`: of reading the answers; what is wrong with them is said already. */
static void describe(const struct run *run, int result, int status, struct dwarf_outcome *o)
{
	const struct dwarf_job *job = run->job;
	bool is_spent = WIFSIGNALED(status) && o->cpu_ns >= job->cpu_s * INT64_C(1000000000);
	o->n_answers = run->reader.n_answers;
	if (result < 0 && !run->reader.sink_result) {
		o->end = DWARF_END_GARBLED;
	} else if (run->reader.has_end) {
		o->end = DWARF_END_WHOLE;
	} else if (run->timed_out || is_spent) {
		o->end = DWARF_END_TIME;
		(void)error_set(&o->why, 0, "it took more than %u s of CPU time or %lld s", job->cpu_s,
				(long long)job->timeout_ms / 1000);
	} else {
		o->end = DWARF_END_PROBLEM;
		set_problem(run, status, &o->why);
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
		child_end(run.pid, &status, &ret->cpu_ns);
		describe(&run, r, status, ret);
		r = run.reader.sink_result;
	}
	close_fd(&run.pipe);
	answer_reader_done(&run.reader);
	return r;
}
