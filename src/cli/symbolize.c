/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/symbolize.h"

#include "base/file.h"
#include "object/demangle.h"
#include "object/kallsyms.h"
#include "object/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define BATCH	     SYMBOLS_MAX_BATCH
#define SAID_MAX     8 /* lines about files that do not match */
#define KERNEL_LINES 100000

/* One frame and where to look for its name. */
struct place {
	uint64_t address; /* an instruction of the function: of a call, not behind it */
	uint32_t frame;
	uint32_t mapping;
};

struct symbolizer {
	struct profile *p;
	const char *file;
	bool *is_exact; /* by frame: its address is where it was, not where it returns to */
	struct place *places;
	uint32_t n_places;
	uint32_t batch, batch_end; /* the places that are being answered */
	int64_t began_ns;	   /* the recording, on the clock of file times; 0: not known */
	uint32_t n_older;	   /* files that are believed because they are older than that */
	uint32_t n_said, n_unsaid;
	int root;	 /* folder "/" */
	char path[4096]; /* of the file at hand */
	uint64_t addrs[BATCH];
	char demangled[DEMANGLE_BUF];
};

static void symbolizer_done(struct symbolizer *s)
{
	free(s->is_exact);
	free(s->places);
	close_fd(&s->root);
}

static void say(struct symbolizer *s, struct slice path, const char *what)
{
	if (s->n_said == SAID_MAX) {
		s->n_unsaid++;
		return;
	}
	s->n_said++;
	(void)fprintf(stderr, "wick: %s: %.*s: %s; its frames stay addresses\n", s->file, SLICE_FMT(path), what);
}

/* Callers hold return addresses, which may lie behind the end of a function
 * that calls one that does not return. What was interrupted, by the sampler
 * or on the way into the kernel, is exact. */
static void find_exact(struct symbolizer *s)
{
	const struct profile *p = s->p;
	const struct dict *d = &p->dict;
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		s->is_exact[d->node_frame.data[p->node.data[i].v].v] = true;
	for (uint32_t i = 1; i < dict_n_nodes(d); i++) {
		uint32_t parent = d->node_frame.data[d->node_parent.data[i].v].v;
		const struct frame *callee = &d->frames.data[d->node_frame.data[i].v];
		if (callee->kind == FRAME_KERNEL && d->frames.data[parent].kind != FRAME_KERNEL)
			s->is_exact[parent] = true;
	}
}

static int by_mapping_and_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->mapping != y->mapping)
		return x->mapping < y->mapping ? -1 : 1;
	return x->address < y->address ? -1 : x->address > y->address;
}

static int collect(struct symbolizer *s)
{
	const struct dict *d = &s->p->dict;
	s->is_exact = calloc(d->frames.n, sizeof(*s->is_exact));
	s->places = calloc(d->frames.n, sizeof(*s->places));
	if (!s->is_exact || !s->places)
		return -ENOMEM;
	find_exact(s);
	for (uint32_t i = 1; i < d->frames.n; i++) {
		const struct frame *f = &d->frames.data[i];
		if (f->function.v == 0 && f->mapping.v)
			s->places[s->n_places++] = (struct place){ f->address, i, f->mapping.v };
	}
	qsort(s->places, s->n_places, sizeof(*s->places), by_mapping_and_address);
	return 0;
}

/* --- names --- */

static int name_frame(struct symbolizer *s, uint32_t frame, struct slice raw)
{
	struct dict *d = &s->p->dict;
	struct function f = { 0 };
	struct func_id id;
	int r = strtab_intern(&d->strings, demangle(raw, s->demangled), &f.name);
	if (r == 0)
		r = strtab_intern(&d->strings, raw, &f.system_name);
	if (r == 0)
		r = dict_function(d, &f, &id);
	if (r == 0)
		d->frames.data[frame].function = id;
	return r;
}

/* The first place of the batch at `address` or behind it. */
static uint32_t first_place(const struct symbolizer *s, uint64_t address)
{
	uint32_t lo = s->batch, hi = s->batch_end;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (s->places[mid].address < address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int take_range(void *arg, const struct symrange *range)
{
	struct symbolizer *s = arg;
	int r = 0;
	if (range->name.size == 0)
		return 0;
	for (uint32_t i = first_place(s, range->start); r == 0 && i < s->batch_end && s->places[i].address < range->end;
	     i++)
		r = name_frame(s, s->places[i].frame, range->name);
	return r;
}

/* 0, or memory's end; what a symbol source has against a file is no failure. */
static int name_places(struct symbolizer *s, uint32_t from, uint32_t to, const struct elf *elf, struct kallsyms *k)
{
	const struct symbols_env env = { .place = { s->root, s->path } };
	int r = 0;
	for (; r == 0 && from < to; from = s->batch_end) {
		s->batch = from;
		s->batch_end = to - from > BATCH ? from + BATCH : to;
		for (uint32_t i = from; i < s->batch_end; i++)
			s->addrs[i - from] = s->places[i].address;
		struct symrange_sink sink = { take_range, s };
		r = elf ? symbols_lookup(elf, &env, s->addrs, s->batch_end - from, sink, NULL)
			: kallsyms_lookup(k, s->addrs, s->batch_end - from, sink, NULL);
	}
	return r == -ENOMEM || r == -ENOBUFS ? r : 0;
}

/* --- files --- */

static int64_t time_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* perf.data has no time of day but the file's own, which was written last when
 * the recording ended. 0: not known. */
static int64_t began_at(const char *file, int64_t duration_ns)
{
	struct stat st;
	if (strcmp(file, "-") == 0 || stat(file, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return time_ns(st.st_mtim) - duration_ns;
}

/* Neither written since the recording began nor put in the place of another. */
static bool is_older(const struct symbolizer *s, int fd)
{
	struct stat st;
	return s->began_ns && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && time_ns(st.st_mtim) < s->began_ns &&
	       time_ns(st.st_ctim) < s->began_ns;
}

/* perf's list fills build ids up to 20 bytes. */
static bool same_build_id(struct slice recorded, const char *found, size_t found_size)
{
	if (found_size == 0 || recorded.size < found_size || memcmp(recorded.data, found, found_size) != 0)
		return false;
	for (size_t i = found_size; i < recorded.size; i++)
		if (recorded.data[i] != '0')
			return false;
	return true;
}

/* Its addresses are the file's own now: a limit says so (model/dict.h). */
static void set_limit(struct symbolizer *s, uint32_t mapping, const struct elf *elf)
{
	uint64_t limit = 0;
	for (uint32_t i = 0; i < elf->n_loads; i++)
		if (elf->loads[i].executable && elf->loads[i].vaddr + elf->loads[i].mem_size > limit)
			limit = elf->loads[i].vaddr + elf->loads[i].mem_size;
	s->p->dict.mappings.data[mapping].limit = limit;
}

static int place_in_elf(struct symbolizer *s, uint32_t from, uint32_t to, const struct elf *elf)
{
	uint32_t n = from;
	set_limit(s, s->places[from].mapping, elf);
	for (uint32_t i = from; i < to; i++) {
		struct place *at = &s->places[i];
		uint64_t vaddr;
		if (!elf_vaddr(elf, at->address, &vaddr))
			continue;
		s->p->dict.frames.data[at->frame].address = vaddr;
		at->address = s->is_exact[at->frame] || vaddr == 0 ? vaddr : vaddr - 1;
		s->places[n++] = *at;
	}
	qsort(s->places + from, n - from, sizeof(*s->places), by_mapping_and_address);
	return name_places(s, from, n, elf, NULL);
}

static int name_file(struct symbolizer *s, uint32_t from, uint32_t to, struct slice path, struct slice build_id)
{
	char found[ELF_BUILD_ID_HEX];
	struct elf elf;
	if (path.size >= sizeof(s->path))
		return 0;
	(void)snprintf(s->path, sizeof(s->path), "%.*s", SLICE_FMT(path));
	_cleanup_(close_fd)
	int fd = path.data[0] == '[' ? elf_vdso_open() : open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return say(s, path, "is not there"), 0;
	if (elf_init(&elf, fd, NULL) < 0)
		return say(s, path, "is not a binary wick can read"), 0;
	if (build_id.size == 0 && !is_older(s, fd))
		return say(s, path,
			   "no build id was recorded (perf record --buildid-mmap does), "
			   "and it is not known to be older than the recording"),
		       0;
	if (build_id.size && !same_build_id(build_id, found, elf_build_id_hex(&elf, found)))
		return say(s, path, "has another build id than the one recorded"), 0;
	s->n_older += build_id.size == 0;
	return place_in_elf(s, from, to, &elf);
}

/* --- the kernel --- */

static size_t running_build_id(char hex[static ELF_BUILD_ID_HEX])
{
	_cleanup_(buf_done)
	struct buf notes = buf_of(64 << 10);
	uint8_t id[ELF_BUILD_ID_MAX];
	hex[0] = 0;
	if (file_read("/sys/kernel/notes", &notes, NULL) < 0)
		return 0;
	uint32_t size = elf_notes_build_id(slice_of(notes.data, notes.n), id);
	for (uint32_t i = 0; i < size; i++)
		(void)snprintf(hex + (size_t)2 * i, 3, "%02x", id[i]);
	return (size_t)2 * size;
}

/* Where the running kernel's _text lies, 0 = hidden. */
static uint64_t running_text(void)
{
	_cleanup_(close_file)
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], type;
	uint64_t address;
	for (unsigned i = 0; f && i < KERNEL_LINES && fgets(line, sizeof(line), f); i++) {
		char name[16];
		if (sscanf(line, "%" SCNx64 " %c %15s", &address, &type, name) == 3 && strcmp(name, "_text") == 0)
			return address;
	}
	return 0;
}

static int name_kernel(struct symbolizer *s, uint32_t from, uint32_t to, const struct mapping *m, struct slice build_id)
{
	char found[ELF_BUILD_ID_HEX];
	struct slice path = slice_str("the kernel");
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	if (build_id.size == 0 || m->offset == 0)
		return say(s, path, "no build id was recorded (perf record --buildid-mmap does)"), 0;
	if (!same_build_id(build_id, found, running_build_id(found)))
		return say(s, path, "is not the one that is running"), 0;
	uint64_t text = running_text();
	if (text == 0 || kallsyms_open("/proc/kallsyms", NULL, &k, NULL) < 0)
		return say(s, path, "/proc/kallsyms hides its addresses (kernel.kptr_restrict)"), 0;
	/* It may have been booted to another place since. */
	uint64_t moved = text - m->offset;
	for (uint32_t i = from; i < to; i++) {
		struct place *at = &s->places[i];
		at->address += moved;
		if (!s->is_exact[at->frame])
			at->address--;
	}
	qsort(s->places + from, to - from, sizeof(*s->places), by_mapping_and_address);
	return name_places(s, from, to, NULL, k);
}

static int name_mapping(struct symbolizer *s, uint32_t from, uint32_t to)
{
	const struct dict *d = &s->p->dict;
	const struct mapping m = d->mappings.data[s->places[from].mapping];
	/* Copies: interning names moves the strings. */
	char path[4096], build_id[ELF_BUILD_ID_HEX];
	(void)snprintf(path, sizeof(path), "%s", strtab_cstr(&d->strings, m.path));
	(void)snprintf(build_id, sizeof(build_id), "%s", strtab_cstr(&d->strings, m.build_id));
	if (strcmp(path, "[kernel.kallsyms]") == 0)
		return name_kernel(s, from, to, &m, slice_str(build_id));
	bool is_jit = d->frames.data[s->places[from].frame].kind == FRAME_JIT;
	if ((path[0] == '/' && !is_jit) || strcmp(path, "[vdso]") == 0)
		return name_file(s, from, to, slice_str(path), slice_str(build_id));
	return 0;
}

int profile_symbolize(struct profile *p, const char *file, const struct dwarf_options *dwarf)
{
	_cleanup_(free_ptr)
	struct symbolizer *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->p = p;
	s->file = file;
	s->began_ns = began_at(file, p->duration_ns);
	s->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = collect(s);
	for (uint32_t from = 0, to; r == 0 && from < s->n_places; from = to) {
		uint32_t mapping = s->places[from].mapping;
		for (to = from + 1; to < s->n_places && s->places[to].mapping == mapping; to++)
			;
		r = name_mapping(s, from, to);
	}
	if (s->n_older)
		(void)fprintf(stderr,
			      "wick: %s: frames of %" PRIu32 " file%s without a recorded build id are named by this "
			      "machine's, which did not change since\n",
			      file, s->n_older, s->n_older == 1 ? "" : "s");
	if (s->n_unsaid)
		(void)fprintf(stderr, "wick: %s: and %" PRIu32 " more files\n", file, s->n_unsaid);
	if (r == 0)
		dict_frames_changed(&p->dict);
	if (r == 0 && !dwarf->off)
		r = profile_add_lines(p, file, s->is_exact, dwarf, NULL);
	symbolizer_done(s);
	return r;
}
