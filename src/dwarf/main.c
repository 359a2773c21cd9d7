/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: wick-dwarf, which job.h starts: one file, one batch of addresses, one stream of answers.
 *
 *   0  memfd: addresses, u64 each, rising          1  pipe: answers.h
 *   3  the ELF file
 *
 *   wick-dwarf MEMORY-MIB CPU-SECONDS [open]
 *
 * Only this program is linked with libdw. It shuts itself in before it looks
 * at the file, and has nothing in its memory that is worth stealing. */
#include "base/file.h"
#include "dwarf/reader.h"
#include "dwarf/sandbox.h"
#include "object/demangle.h"
#include "object/symtab.h"

#include <errno.h>
#include <sys/stat.h>

#define FILE_FD	   3
#define N_FDS	   4
#define FLUSH_SIZE ((size_t)16 << 10)
#define MAX_ADDRS  (1u << 20)
#define MIB	   ((size_t)1 << 20)

struct worker {
	uint64_t *addrs;
	uint32_t n;
	struct membudget budget;
	struct strtab symbols;
	uint32_t *symbol;	 /* by address: string in symbols; 0 = none */
	uint32_t first, batch_n; /* of the look-up of symbols under way */
	uint8_t *is_answered;	 /* by address */
	struct answer_writer out;
	char demangled[DWARF_MAX_DEPTH + 1][DEMANGLE_BUF];
};

static int read_addresses(struct worker *w)
{
	struct stat st;
	if (fstat(STDIN_FILENO, &st) < 0 || st.st_size <= 0 || st.st_size % 8 || st.st_size / 8 > MAX_ADDRS)
		return -EINVAL;
	size_t size = (size_t)st.st_size;
	w->n = (uint32_t)(size / 8);
	w->addrs = malloc(size);
	w->symbol = calloc(w->n, sizeof(*w->symbol));
	w->is_answered = calloc(w->n, 1);
	if (!w->addrs || !w->symbol || !w->is_answered)
		return -ENOMEM;
	if (pread(STDIN_FILENO, w->addrs, size, 0) != (ssize_t)size)
		return -EINVAL;
	for (uint32_t i = 1; i < w->n; i++)
		if (w->addrs[i] < w->addrs[i - 1])
			return -EINVAL;
	return 0;
}

/* Once there is more than `above`. */
static int flush(struct worker *w, size_t above)
{
	struct buf *out = &w->out.out;
	if (out->failed)
		return -ENOMEM;
	if (out->n <= above)
		return 0;
	int r = fd_write_all(STDOUT_FILENO, out->data, out->n);
	out->n = 0;
	return r;
}

/* ---- what the symbol table says ---- */

static int put_symbol(void *arg, const struct symrange *range)
{
	struct worker *w = arg;
	struct str_id id = { 0 };
	int r = range->name.size ? strtab_intern(&w->symbols, range->name, &id) : 0;
	for (uint32_t i = w->first; r == 0 && i < w->first + w->batch_n && w->addrs[i] < range->end; i++)
		if (w->addrs[i] >= range->start)
			w->symbol[i] = id.v;
	return r;
}

static int look_up_symbols(struct worker *w)
{
	struct elf elf;
	if (elf_init(&elf, FILE_FD, NULL) < 0)
		return 0;
	int r = 0;
	for (w->first = 0; r == 0 && w->first < w->n; w->first += w->batch_n) {
		w->batch_n = w->n - w->first < SYMTAB_MAX_BATCH ? w->n - w->first : SYMTAB_MAX_BATCH;
		r = symtab_lookup(&elf, w->addrs + w->first, w->batch_n, (struct symrange_sink){ put_symbol, w }, NULL);
	}
	/* A table that cannot be read is as good as none. */
	return r == -ENOBUFS || r == -ENOMEM ? r : 0;
}

/* ---- what DWARF says ---- */

/* Splits a linker's name into the readable one and itself, where they differ. */
static void make_readable(struct worker *w, uint32_t buf, struct slice *name, struct slice *mangled)
{
	struct slice readable = demangle(*name, w->demangled[buf]);
	*mangled = slice_eq(readable, *name) ? slice_of(NULL, 0) : *name;
	*name = readable;
}

static int put_answer(void *arg, const struct dwarf_answer *found)
{
	struct worker *w = arg;
	struct dwarf_frame frames[DWARF_MAX_DEPTH];
	struct dwarf_answer a = *found;
	a.frames = frames;
	for (uint32_t i = 0; i < a.n_frames; i++) {
		frames[i] = found->frames[i];
		make_readable(w, i, &frames[i].name, &frames[i].mangled);
	}
	a.symbol = strtab_get(&w->symbols, (struct str_id){ w->symbol[a.index] });
	make_readable(w, DWARF_MAX_DEPTH, &a.symbol, &a.mangled);
	w->is_answered[a.index] = 1;
	int r = answer_write(&w->out, &a);
	return r < 0 ? r : flush(w, FLUSH_SIZE);
}

static int look_up_lines(struct worker *w, size_t memory)
{
	struct error err = { "" };
	_cleanup_(dwarf_free)
	struct dwarf_reader *reader = NULL;
	int r = dwarf_open(FILE_FD, memory, &reader, &err);
	if (r == 0)
		r = dwarf_lookup(reader, w->addrs, w->n, (struct dwarf_sink){ put_answer, w }, &err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		answer_write_problem(&w->out, err.text[0] ? err.text : strerror(-r));
	return r;
}

/* Where DWARF has nothing, a name from the symbol table is something. */
static int put_other_symbols(struct worker *w)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < w->n; i++) {
		struct dwarf_answer a = { .index = i };
		if (!w->is_answered[i] && w->symbol[i])
			r = put_answer(w, &a);
	}
	return r;
}

static int work(struct worker *w, size_t memory)
{
	w->budget = membudget_of(memory / 4);
	int r = strtab_init(&w->symbols, &w->budget);
	if (r == 0)
		r = answer_writer_init(&w->out, &w->budget);
	if (r == 0)
		r = read_addresses(w);
	if (r == 0)
		r = look_up_symbols(w);
	if (r < 0)
		return r;
	int lines = look_up_lines(w, memory);
	r = put_other_symbols(w);
	if (r == 0 && lines == 0)
		answer_write_end(&w->out);
	if (r == 0)
		r = flush(w, 0);
	return lines < 0 ? lines : r;
}

int main(int argc, char **argv)
{
	static struct worker w;
	struct stat st;
	struct error err = { "" };
	bool may_open = argc == 4 && strcmp(argv[3], "open") == 0;
	if ((argc != 3 && !may_open) || fstat(FILE_FD, &st) < 0) {
		(void)fputs("wick-dwarf is started by wick and wick-server to read debug information\n", stderr);
		return 2;
	}
	size_t memory = strtoul(argv[1], NULL, 10) * MIB;
	struct sandbox box = {
		.n_fds = N_FDS,
		.memory = memory,
		.file_map = (uint64_t)st.st_size,
		.cpu_s = strtoul(argv[2], NULL, 10),
		.may_open = may_open,
	};
	int r = sandbox_enter(&box, &err);
	if (r < 0) {
		(void)fprintf(stderr, "wick-dwarf: %s\n", err.text);
		return 1;
	}
	r = work(&w, memory);
	/* What is in memory goes with the process; freeing it would only take time. */
	_exit(r == -ENOMEM || r == -ENOBUFS ? DWARF_EXIT_MEMORY : r < 0 ? 1 : 0);
}
