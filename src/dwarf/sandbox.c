/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#if defined(__x86_64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_HERE AUDIT_ARCH_AARCH64
#else
#error "the system call filter knows x86-64 and arm64"
#endif

#define OPEN_FILES   64
#define LIBRARY_SIZE ((uint64_t)64 << 20) /* of address space, what was loaded before */

static int set_limit(int what, uint64_t value)
{
	struct rlimit now, limit = { value, value };
	/* Not above what was allowed before. */
	if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max < value)
		limit.rlim_cur = limit.rlim_max = now.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &limit) < 0 ? -errno : 0;
}

static int set_limits(const struct sandbox *s)
{
	int r = set_limit(RLIMIT_CPU, s->cpu_s);
	if (r == 0)
		r = set_limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = set_limit(RLIMIT_FSIZE, 0);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, s->may_open ? OPEN_FILES : s->n_fds);
	if (r == 0 && !IS_SANITIZED)
		r = set_limit(RLIMIT_DATA, s->memory);
	if (r == 0 && !IS_SANITIZED)
		r = set_limit(RLIMIT_AS, s->memory + s->file_map + LIBRARY_SIZE);
	return r;
}

/* ---- system calls ---- */

#define LOAD(field)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE	       RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW	       RETURN(SECCOMP_RET_ALLOW)
/* Skips the next `n` instructions unless the value is k, or has none of the bits. */
#define UNLESS(k, n)	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, n)
#define UNLESS_ANY(bits, n) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, n)
#define ALLOW_CALL(name)    UNLESS(__NR_##name, 1), ALLOW

/* Arguments are looked at as 32 bits: those tested here are ints to the kernel. */
static const struct sock_filter common_calls[] = {
	LOAD(arch),
	UNLESS(AUDIT_ARCH_HERE, 1),
	BPF_STMT(BPF_JMP | BPF_JA, 1),
	RETURN(SECCOMP_RET_KILL_PROCESS),
	LOAD(nr),
#ifdef __x86_64__
	/* Numbers of the x32 ABI have this bit. */
	UNLESS_ANY(0x40000000, 1),
	RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
	ALLOW_CALL(read),
	ALLOW_CALL(pread64),
	ALLOW_CALL(write),
	ALLOW_CALL(lseek),
	ALLOW_CALL(close),
	ALLOW_CALL(fstat),
	ALLOW_CALL(newfstatat),
	ALLOW_CALL(fcntl),
	ALLOW_CALL(munmap),
	ALLOW_CALL(mremap),
	ALLOW_CALL(madvise),
	ALLOW_CALL(brk),
	ALLOW_CALL(futex),
	ALLOW_CALL(clock_gettime),
	ALLOW_CALL(getrandom),
	ALLOW_CALL(sysinfo), /* qsort() asks how much memory there is */
	ALLOW_CALL(rt_sigreturn),
	ALLOW_CALL(exit),
	ALLOW_CALL(exit_group),
	/* Memory, but no code. */
	UNLESS(__NR_mmap, 4),
	LOAD(args[2]),
	UNLESS_ANY(PROT_EXEC, 1),
	REFUSE,
	ALLOW,
	UNLESS(__NR_mprotect, 4),
	LOAD(args[2]),
	UNLESS_ANY(PROT_EXEC, 1),
	REFUSE,
	ALLOW,
};

static const struct sock_filter open_calls[] = {
	ALLOW_CALL(readlinkat),
#ifdef __NR_readlink
	ALLOW_CALL(readlink),
#endif
	UNLESS(__NR_openat, 4), LOAD(args[2]), UNLESS_ANY(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1), REFUSE, ALLOW,
};

static const struct sock_filter rest[] = { REFUSE };

static int filter_calls(bool may_open)
{
	struct sock_filter code[ARRAY_SIZE(common_calls) + ARRAY_SIZE(open_calls) + ARRAY_SIZE(rest)];
	unsigned short n = ARRAY_SIZE(common_calls);
	memcpy(code, common_calls, sizeof(common_calls));
	if (may_open) {
		memcpy(code + n, open_calls, sizeof(open_calls));
		n += ARRAY_SIZE(open_calls);
	}
	memcpy(code + n, rest, sizeof(rest));
	struct sock_fprog program = { .len = (unsigned short)(n + ARRAY_SIZE(rest)), .filter = code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
		return 0;
	/* A kernel without it still has the limits. */
	return errno == EINVAL ? 0 : -errno;
}

int sandbox_enter(const struct sandbox *s, struct error *err)
{
	if (close_range(s->n_fds, ~0U, 0) < 0)
		return error_set(err, -errno, "close_range: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, -errno, "prctl: %s", strerror(errno));
	int r = set_limits(s);
	if (r < 0)
		return error_set(err, r, "cannot limit itself: %s", strerror(-r));
	/* The sanitizers' own threads and reports need more calls. */
	r = IS_SANITIZED ? 0 : filter_calls(s->may_open);
	return r < 0 ? error_set(err, r, "cannot give up system calls: %s", strerror(-r)) : 0;
}
