/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: stacks through Go code break off or, worse, go
 * on where nobody called. */
#include "golang.h"
#include "scratch.h"

#include "unwind/gorows.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#define MAX_MODULES 16
#define MAX_DEPTH   1500
#define N_STOPS	    1500

static void build_or_skip(const char *program, const char *settings, const char *options, const char *name)
{
	if (!go_is_here())
		skip_because("go is not here");
	if (access(in_scratch(name), R_OK) != 0 && !go_build(program, settings, options, in_scratch(name)))
		skip_because("go build %s fails here with %s", options, settings);
}

/* ---- rules at an address ------------------------------------------------- */

struct row {
	uint64_t pc;
	struct unwind_rule rule; /* of the last row up to pc */
	uint64_t last;
};

static int take_row(void *arg, uint64_t start, const struct unwind_rule *rule)
{
	struct row *r = arg;
	assert_true(start >= r->last);
	r->last = start;
	if (start <= r->pc)
		r->rule = *rule;
	return 0;
}

/* False where no Go function is. */
static bool go_rule(struct gorows *g, uint64_t pc, struct row *ret, struct gorows_func *func)
{
	uint64_t lo = 0, hi = g->funcs.table.n_funcs;
	if (pc < g->funcs.table.start || pc >= g->funcs.table.end)
		return false;
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2, i = mid;
		struct gofunc f;
		int r = gofuncs_at(&g->funcs, (uint32_t)i, &f);
		if (r == 0 && f.start <= pc + 1)
			lo = mid;
		else
			hi = mid;
	}
	for (uint64_t i = lo ? lo - 1 : 0; i < g->funcs.table.n_funcs;) {
		int r = gorows_next(g, &i, func);
		if (r < 0 || (r == 1 && func->start > pc))
			return false;
		if (r == 0 || func->end <= pc)
			continue;
		*ret = (struct row){ .pc = pc };
		assert_int_equal(gorows_rows(g, func, (struct cfi_sink){ take_row, ret }), 0);
		return true;
	}
	return false;
}

/* ---- against .debug_frame ------------------------------------------------ */

/* The linker writes it from the same tables. It forgets, on arm64, that the
 * return address stays where it is when assembly moves sp once more. */
static uint32_t check_against_debug_frame(const char *name, bool arm)
{
	_cleanup_(close_fd)
	int fd = open(in_scratch(name), O_RDONLY | O_CLOEXEC);
	struct elf e;
	struct gorows g;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	assert_int_equal(gorows_init(&g, &e), 0);
	char command[512], line[1024];
	(void)snprintf(command, sizeof(command), "readelf --debug-dump=frames-interp '%s' 2>/dev/null",
		       in_scratch(name));
	FILE *f = popen(command, "r");
	assert_non_null(f);
	uint32_t n = 0, n_unsupported = 0, n_moved = 0;
	while (fgets(line, sizeof(line), f)) {
		uint64_t pc;
		int off;
		char base[8], ra[16];
		struct row row;
		struct gorows_func func;
		if (strstr(line, "FDE") || sscanf(line, "%" SCNx64 " %7[a-z0-9]+%d %15s", &pc, base, &off, ra) != 4 ||
		    !go_rule(&g, pc, &row, &func) || func.kind != GOROWS_PLAIN)
			continue;
		n++;
		if (row.rule.cfa == RULE_UNSUPPORTED) {
			n_unsupported++;
			continue;
		}
		assert_int_equal(row.rule.cfa, RULE_SP);
		assert_int_equal(row.rule.cfa_off, off);
		assert_int_equal(row.rule.ra, arm && off == 0 ? RULE_RA_IN_LINK : RULE_RA_AT_CFA);
		n_moved += arm && off && row.rule.ra_off != atoi(ra + 1);
		if (row.rule.fp == RULE_FP_AT_CFA)
			assert_int_equal(row.rule.fp_off, row.rule.ra_off - 8);
	}
	gorows_done(&g);
	assert_true(n_unsupported <= n / 100 && n_moved <= 5);
	return pclose(f) == 0 ? n : 0;
}

static void rows_are_those_of_debug_frame(void **state)
{
	build_or_skip("names", "", "'-ldflags=-compressdwarf=false'", "names");
	build_or_skip("names", "GOARCH=arm64", "'-ldflags=-compressdwarf=false'", "names-arm64");
	if (system("readelf --version >/dev/null 2>&1") != 0)
		skip_because("readelf is not here");
	assert_true(check_against_debug_frame("names", false) > 5000);
	assert_true(check_against_debug_frame("names-arm64", true) > 3000);
}

/* ---- a running program --------------------------------------------------- */

#ifdef __x86_64__

struct module {
	uint64_t start, end, bias; /* bias: from ELF addresses to the process's */
	int fd;
	struct elf elf;
	bool is_go;
	struct gorows go;
};

struct process {
	pid_t pid;
	int mem;
	uint32_t n;
	struct module modules[MAX_MODULES];
};

static void add_module(struct process *p, uint64_t start, uint64_t end, uint64_t off, const char *path)
{
	struct module *m = &p->modules[p->n];
	uint64_t vaddr;
	*m = (struct module){ .start = start, .end = end };
	m->fd = strcmp(path, "[vdso]") == 0 ? elf_vdso_open() : open(path, O_RDONLY | O_CLOEXEC);
	if (m->fd < 0 || p->n == MAX_MODULES - 1 || elf_init(&m->elf, m->fd, NULL) < 0 ||
	    !elf_vaddr(&m->elf, off, &vaddr)) {
		close_fd(&m->fd);
		return;
	}
	m->bias = start - vaddr;
	m->is_go = gorows_init(&m->go, &m->elf) == 0;
	p->n++;
}

static void read_modules(struct process *p)
{
	char path[64], line[1024];
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", p->pid);
	_cleanup_(close_file)
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		uint64_t start, end, off;
		char perms[8], name[512] = "";
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %511s", &start, &end, perms, &off,
			   name) >= 4 &&
		    perms[2] == 'x' && (name[0] == '/' || strcmp(name, "[vdso]") == 0))
			add_module(p, start, end, off, name);
	}
}

/* Starts the program and waits until it is busy. */
static void start(struct process *p, const char *name)
{
	int fds[2];
	char word[6] = "";
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	*p = (struct process){ .pid = fork() };
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(fds[1], STDOUT_FILENO);
		(void)execl(in_scratch(name), name, (char *)NULL);
		_exit(127);
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], word, 5), 5);
	assert_string_equal(word, "ready");
	(void)close(fds[0]);
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", p->pid);
	p->mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(p->mem >= 0);
	read_modules(p);
}

static void stop(struct process *p)
{
	(void)kill(p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, 0);
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->modules[i].is_go)
			gorows_done(&p->modules[i].go);
		(void)close(p->modules[i].fd);
	}
	(void)close(p->mem);
}

static bool peek(const struct process *p, uint64_t addr, uint64_t *ret)
{
	return pread(p->mem, ret, sizeof(*ret), (off_t)addr) == sizeof(*ret);
}

/* ---- walks --------------------------------------------------------------- */

struct walk {
	uint64_t pc, sp, fp;
	bool fp_lost, is_call;
	uint32_t n;
	bool seen_systemstack, seen_asmcgocall, seen_cgocallback, seen_c, seen_callback, seen_go_caller, seen_signal;
	char function[128]; /* of the frame at hand; "" = not Go's */
};

static bool cfi_rule(struct module *m, uint64_t pc, struct row *ret)
{
	for (int debug = 0; debug < 2; debug++) {
		struct cfi c;
		uint64_t off = 0;
		if (cfi_init(&c, &m->elf, debug) < 0)
			continue;
		for (;;) {
			struct cfi_fde fde;
			int r = cfi_next(&c, &off, &fde);
			if (r == -ENODATA)
				break;
			if (r != 1 || pc < fde.start || pc >= fde.end)
				continue;
			*ret = (struct row){ .pc = pc };
			r = cfi_rows(&c, &fde, (struct cfi_sink){ take_row, ret });
			cfi_done(&c);
			return r == 0;
		}
		cfi_done(&c);
	}
	return false;
}

static struct module *module_at(struct process *p, uint64_t pc)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (pc >= p->modules[i].start && pc < p->modules[i].end)
			return &p->modules[i];
	return NULL;
}

/* Called, or in the frames that signals put there. */
static bool is_behind_call(const struct process *p, uint64_t pc)
{
	uint8_t code[8];
	if (pread(p->mem, code, sizeof(code), (off_t)(pc - 8)) != 8)
		return false;
	if (code[3] == 0xe8)
		return true;
	for (int at = 1; at < 7; at++)
		if (code[at] == 0xff && (code[at + 1] >> 3 & 7) == 2)
			return true;
	return false;
}

static void note_function(struct walk *w, struct module *m, bool is_go, const struct gorows_func *func)
{
	w->function[0] = 0;
	if (!is_go) {
		w->seen_c |= m->is_go; /* C of the program's own */
		return;
	}
	struct slice name = gofuncs_name(&m->go.funcs, &func->func);
	(void)snprintf(w->function, sizeof(w->function), "%.*s", SLICE_FMT(name));
	w->seen_systemstack |= strcmp(w->function, "runtime.systemstack") == 0;
	w->seen_asmcgocall |= strcmp(w->function, "runtime.asmcgocall") == 0;
	w->seen_cgocallback |= strcmp(w->function, "runtime.cgocallback") == 0;
	w->seen_callback |= strcmp(w->function, "main.calledByC") == 0;
	w->seen_go_caller |= strcmp(w->function, "main.callsC") == 0;
}

static bool step_signal(const struct process *p, struct walk *w)
{
	struct walk to = *w;
	to.is_call = to.fp_lost = false;
	if (!peek(p, w->sp + 40 + 16 * 8, &to.pc) || !peek(p, w->sp + 40 + 15 * 8, &to.sp) ||
	    !peek(p, w->sp + 40 + 10 * 8, &to.fp))
		return false;
	to.seen_signal = true;
	*w = to;
	return true;
}

static bool step_rule(const struct process *p, struct walk *w, const struct unwind_rule *u)
{
	uint64_t cfa, pc, fp = w->fp;
	bool by_fp = u->cfa == RULE_FP || u->cfa == RULE_FP_DEREF;
	if ((by_fp && w->fp_lost) || u->cfa == RULE_GAP || u->cfa == RULE_UNSUPPORTED)
		return false;
	cfa = (by_fp ? w->fp : w->sp) + (uint64_t)(int64_t)u->cfa_off;
	if (u->cfa == RULE_PLT)
		cfa = w->sp + 8 + ((int64_t)(w->pc & 15) >= u->cfa_off ? 8 : 0);
	if ((u->cfa == RULE_SP_DEREF || u->cfa == RULE_FP_DEREF) && !peek(p, cfa, &cfa))
		return false;
	if (u->cfa == RULE_SP_DEREF || u->cfa == RULE_FP_DEREF)
		cfa += (uint64_t)(int64_t)u->cfa_add;
	if (u->fp == RULE_FP_AT_CFA && !peek(p, cfa + (uint64_t)(int64_t)u->fp_off, &fp))
		return false;
	if (u->fp == RULE_FP_AT_FP && !peek(p, w->fp + (uint64_t)(int64_t)u->fp_off, &fp))
		return false;
	if (!peek(p, cfa + (uint64_t)(int64_t)u->ra_off, &pc))
		return false;
	w->fp_lost = u->fp == RULE_FP_LOST || (u->fp == RULE_FP_SAME && w->fp_lost);
	w->fp = fp;
	w->sp = cfa;
	w->pc = pc;
	w->is_call = true;
	return true;
}

enum walk_end { WALK_ROOT, WALK_FOREIGN, WALK_BROKEN };

/* FOREIGN: it begins in code of others that this test has no rules for. */
static enum walk_end walk(struct process *p, struct walk *w)
{
	for (; w->n < MAX_DEPTH; w->n++) {
		uint64_t at = w->pc - w->is_call;
		struct module *m = module_at(p, at);
		struct row row;
		struct gorows_func func;
		if (!m)
			return w->n ? WALK_BROKEN : WALK_FOREIGN;
		char before[sizeof(w->function)];
		(void)strcpy(before, w->function);
		bool is_go = m->is_go && go_rule(&m->go, at - m->bias, &row, &func);
		note_function(w, m, is_go, &func);
		if (!is_go && !cfi_rule(m, at - m->bias, &row))
			return w->n ? WALK_BROKEN : WALK_FOREIGN;
		/* asyncPreempt is made to look called from anywhere, goexit is never reached by a call. */
		if (w->is_call && row.rule.cfa != RULE_STOP && row.rule.cfa != RULE_SIGNAL &&
		    strcmp(before, "runtime.asyncPreempt") != 0 && strcmp(before, "runtime.sigpanic") != 0 &&
		    !is_behind_call(p, w->pc))
			return WALK_BROKEN;
		if (row.rule.cfa == RULE_STOP)
			return WALK_ROOT;
		if (row.rule.cfa == RULE_SIGNAL ? !step_signal(p, w) : !step_rule(p, w, &row.rule))
			return WALK_BROKEN;
	}
	return WALK_BROKEN;
}

struct tally {
	uint32_t n, n_roots, n_foreign, n_broken;
	uint32_t systemstack, asmcgocall, callbacks, signals, vdso;
	uint32_t n_said;
};

static void say_broken(struct tally *t, const struct process *p, const struct walk *from, const struct walk *w)
{
	if (t->n_said++ < 20)
		(void)printf("# broken: from %#" PRIx64 ", at %#" PRIx64 " sp %#" PRIx64 " fp %#" PRIx64
			     " in %s after %u frames\n",
			     from->pc, w->pc, w->sp, w->fp, w->function, w->n);
}

static void tally_walk(struct tally *t, struct process *p, struct walk w)
{
	struct walk from = w;
	enum walk_end end = walk(p, &w);
	struct module *leaf = module_at(p, from.pc);
	t->n++;
	t->n_foreign += end == WALK_FOREIGN;
	t->n_roots += end == WALK_ROOT;
	t->n_broken += end == WALK_BROKEN;
	if (end == WALK_BROKEN)
		say_broken(t, p, &from, &w);
	if (end != WALK_ROOT)
		return;
	t->systemstack += w.seen_systemstack;
	t->asmcgocall += w.seen_asmcgocall && w.seen_c;
	t->callbacks += w.seen_callback;
	t->signals += w.seen_signal;
	t->vdso += leaf && !leaf->is_go && leaf->elf.file_size < 1 << 20 && leaf->elf.n_loads == 1;
	/* Through C and two changes of stacks, back to the Go that called it. */
	if (w.seen_callback && !w.seen_signal)
		assert_true(w.seen_go_caller && w.seen_cgocallback && w.seen_asmcgocall && w.seen_c);
}

/* One thread, stopped for the time of a walk. */
static void sample(struct process *p, pid_t tid, struct tally *t)
{
	int status, signal = 0;
	struct user_regs_struct regs;
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return;
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 && waitpid(tid, &status, __WALL) == tid &&
	    WIFSTOPPED(status)) {
		/* On its way to a signal handler? */
		signal = status >> 16 ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) == 0)
			tally_walk(t, p, (struct walk){ .pc = regs.rip, .sp = regs.rsp, .fp = regs.rbp });
	}
	(void)ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)signal);
}

static void sample_threads(struct process *p, struct tally *t)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/task", p->pid);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (struct dirent *d; (d = readdir(dir));)
		if (d->d_name[0] != '.')
			sample(p, (pid_t)atoi(d->d_name), t);
	(void)closedir(dir);
}

static void walks_of_a_running_program_reach_their_roots(void **state)
{
	build_or_skip("stacks", "CGO_ENABLED=1", "", "stacks");
	struct process p;
	struct tally t = { 0 };
	start(&p, "stacks");
	do
		sample_threads(&p, &t);
	while (t.n > 0 && t.n < 10 * N_STOPS && t.n - t.n_foreign < N_STOPS);
	stop(&p);
	if (t.n == 0)
		skip_because("no thread can be stopped by ptrace here");
	(void)printf("# %u walks: %u reach their root, %u begin elsewhere, %u break; by way of systemstack %u, C %u, "
		     "C and back %u, signals %u, vDSO %u\n",
		     t.n, t.n_roots, t.n_foreign, t.n_broken, t.systemstack, t.asmcgocall, t.callbacks, t.signals,
		     t.vdso);
	assert_true(t.n_broken * 200 <= t.n - t.n_foreign);
	assert_true(t.asmcgocall && t.callbacks);
}

#else

static void walks_of_a_running_program_reach_their_roots(void **state)
{
	skip_because("registers are x86-64's");
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_those_of_debug_frame),
		cmocka_unit_test(walks_of_a_running_program_reach_their_roots),
	};
	return cmocka_run_group_tests_name("gorows", tests, make_scratch, remove_scratch);
}
