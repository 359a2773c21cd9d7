/* SPDX-License-Identifier: Apache-2.0 */
#include "format/perfdata_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define KERNEL_PROCESS 0
#define NO_PID	       UINT32_MAX

int perfdata_processes_init(struct perfdata *d)
{
	struct membudget *budget = d->p->budget;
	int r = vec_reserve(budget, &d->processes, 1);
	if (r == 0)
		r = vec_reserve(budget, &d->areas, 1);
	if (r < 0)
		return r;
	d->areas.data[d->areas.n++] = (struct map_area){ 0 };
	d->processes.data[d->processes.n++] = (struct perf_process){ 0 };
	map_space_init(&d->pool, &d->processes.data[KERNEL_PROCESS].space);
	return 0;
}

static int find_process(struct perfdata *d, uint32_t pid, uint32_t *ret)
{
	uint32_t *slot = u64map_put(&d->process_ids, (uint64_t)pid + 1);
	if (!slot)
		return -ENOBUFS;
	if (*slot == 0) {
		*slot = d->processes.n; /* > 0: the kernel is there */
		int r = vec_reserve(d->p->budget, &d->processes, 1);
		if (r < 0)
			return r;
		d->processes.data[d->processes.n++] = (struct perf_process){ 0 };
		map_space_init(&d->pool, &d->processes.data[*slot].space);
	}
	*ret = *slot;
	return 0;
}

int perfdata_thread(struct perfdata *d, uint32_t pid, uint32_t tid, uint32_t *ret)
{
	/* Both: a thread that exec'd goes on with another id. */
	uint32_t *slot = u64map_put(&d->thread_ids, (uint64_t)pid << 32 | tid);
	if (!slot)
		return -ENOBUFS;
	if (*slot == 0) {
		int r = vec_reserve(d->p->budget, &d->threads, 1);
		if (r < 0)
			return r;
		*slot = d->threads.n + 1;
		struct perf_thread t = { 0 };
		r = find_process(d, pid, &t.process);
		if (r < 0)
			return r;
		d->threads.data[d->threads.n++] = t;
	}
	*ret = *slot - 1;
	return 0;
}

/* --- mappings --- */

static bool has_prefix(struct slice s, const char *prefix)
{
	return slice_has_prefix(s, prefix);
}

/* "/lib/modules/6.1/kernel/net/nf-nat.ko.xz" -> "[nf_nat]", as perf names it. */
static struct slice module_name(struct slice path, char buf[static 256])
{
	const uint8_t *ko = memmem(path.data, path.size, ".ko", 3);
	size_t end = ko ? (size_t)(ko - path.data) : 0, from = end;
	while (from > 0 && path.data[from - 1] != '/')
		from--;
	if (from == end || end - from > 250)
		return path;
	buf[0] = '[';
	for (size_t i = from; i < end; i++)
		buf[1 + i - from] = path.data[i] == '-' ? '_' : (char)path.data[i];
	buf[1 + end - from] = ']';
	return slice_of(buf, end - from + 2);
}

/* Code that lies in no file: perf shows the map its runtime may have written. */
static bool is_anonymous(struct slice path)
{
	return has_prefix(path, "//anon") || has_prefix(path, "/dev/zero") || has_prefix(path, "/anon_hugepage") ||
	       has_prefix(path, "[stack") || has_prefix(path, "/SYSV") || has_prefix(path, "[heap]");
}

static int add_area(struct perfdata *d, const struct map_area *area, uint32_t *ret)
{
	if (d->areas.n > d->limits->n_locations)
		return -E2BIG;
	int r = vec_reserve(d->p->budget, &d->areas, 1);
	if (r < 0)
		return r;
	*ret = d->areas.n;
	d->areas.data[d->areas.n++] = *area;
	return 0;
}

/* Interns the mapping of `path`. Without a build id: the one perf has noted for it. */
static int intern_mapping(struct perfdata *d, struct slice path, struct str_id build_id, struct mapping *m,
			  struct mapping_id *ret)
{
	int r = strtab_intern(&d->p->dict.strings, path, &m->path);
	m->build_id = build_id;
	if (r == 0 && build_id.v == 0)
		m->build_id.v = u64map_get(&d->build_ids, m->path.v);
	return r < 0 ? r : dict_mapping(&d->p->dict, m, ret);
}

struct perf_mmap {
	uint32_t pid;
	uint64_t start, size, offset;
	struct slice path;
	char build_id[2 * 20 + 1];
	bool is_code;
};

static bool parse_mmap(const struct perfdata *d, const struct record_header *h, struct perf_bytes b,
		       struct perf_mmap *ret)
{
	const struct perf_attr *a = perfdata_trailer_attr(d, b);
	struct perf_mmap m = { .is_code = !(h->misc & MISC_MMAP_DATA) };
	m.pid = perf_u32(&b);
	perf_skip(&b, 4);
	m.start = perf_u64(&b);
	m.size = perf_u64(&b);
	m.offset = perf_u64(&b);
	if (h->type == RECORD_MMAP2) {
		const uint8_t *id = b.at;
		perf_skip(&b, 24);
		uint32_t size = !b.failed && h->misc & MISC_MMAP_BUILD_ID ? id[0] : 0;
		for (uint32_t i = 0; i < size && i < 20; i++)
			(void)snprintf(m.build_id + (size_t)2 * i, 3, "%02x", id[4 + i]);
		m.is_code = perf_u32(&b) & PROT_EXECUTE;
		perf_skip(&b, 4);
	}
	if (b.failed || perf_left(&b) < a->trailer_size)
		return false;
	m.path = perf_text(&b, perf_left(&b) - a->trailer_size);
	*ret = m;
	return true;
}

static int put_kernel(struct perfdata *d, const struct perf_mmap *m, uint64_t end)
{
	char buf[256];
	struct map_area area = { .kind = FRAME_KERNEL };
	struct mapping row = { .start = m->start, .limit = end, .offset = m->offset };
	struct slice path = module_name(m->path, buf);
	struct str_id file;
	/* "[kernel.kallsyms]_text": the symbol whose address says where it lies. */
	if (has_prefix(path, "[kernel.kallsyms]"))
		path = slice_str("[kernel.kallsyms]");
	else if (has_prefix(path, "[guest.kernel.kallsyms]"))
		path = slice_str("[guest.kernel.kallsyms]");
	int r = strtab_intern(&d->p->dict.strings, m->path, &file);
	if (r == 0) /* a module's build id goes by its file's name */
		r = intern_mapping(d, path, (struct str_id){ u64map_get(&d->build_ids, file.v) }, &row, &area.mapping);
	uint32_t id;
	if (r == 0)
		r = add_area(d, &area, &id);
	if (r == 0)
		map_space_put(&d->pool, &d->processes.data[KERNEL_PROCESS].space, m->start, end, id);
	return r;
}

static int put_user(struct perfdata *d, const struct perf_mmap *m, uint64_t end)
{
	char perf_map[48];
	uint32_t process, id = 0;
	struct slice path = m->path;
	struct mapping row = { 0 };
	struct map_area area = { .kind = FRAME_USER };
	int r = find_process(d, m->pid, &process);
	if (r < 0)
		return r;
	struct perf_process *p = &d->processes.data[process];
	if (is_anonymous(path)) {
		(void)snprintf(perf_map, sizeof(perf_map), "/tmp/perf-%" PRIu32 ".map", m->pid);
		path = slice_str(perf_map);
		area.kind = FRAME_JIT;
	} else if (path.size && (path.data[0] == '/' || has_prefix(path, "[vdso"))) {
		area.bias = m->offset - m->start;
		if (memmem(path.data, path.size, "/jitted-", 8))
			area.kind = FRAME_JIT;
	}
	struct str_id build_id;
	r = strtab_intern_str(&d->p->dict.strings, m->build_id, &build_id);
	if (r == 0)
		r = intern_mapping(d, path, build_id, &row, &area.mapping);
	if (r == 0)
		r = add_area(d, &area, &id);
	if (r == 0)
		map_space_put(&d->pool, &p->space, m->start, end, id);
	return r;
}

static int read_mmap(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where)
{
	struct perf_mmap m;
	if (!parse_mmap(d, h, body, &m))
		return error_set(d->err, -EBADMSG, WHERE_FMT ": a mapping of %u bytes", WHERE_ARGS(where), h->size);
	uint64_t end;
	if (__builtin_add_overflow(m.start, m.size, &end))
		end = UINT64_MAX;
	if (!m.is_code)
		return 0;
	uint32_t mode = h->misc & MISC_CPU_MODE;
	bool is_kernel = m.pid == NO_PID || mode == MISC_KERNEL || mode == MISC_GUEST_KERNEL;
	return is_kernel ? put_kernel(d, &m, end) : put_user(d, &m, end);
}

/* --- the other events --- */

static int read_comm(struct perfdata *d, const struct record_header *h, struct perf_bytes b)
{
	const struct perf_attr *a = perfdata_trailer_attr(d, b);
	uint32_t pid = perf_u32(&b), tid = perf_u32(&b), thread;
	if (b.failed || perf_left(&b) < a->trailer_size)
		return -EBADMSG;
	struct slice comm = perf_text(&b, perf_left(&b) - a->trailer_size);
	int r = perfdata_thread(d, pid, tid, &thread);
	if (r < 0)
		return r;
	struct perf_thread *t = &d->threads.data[thread];
	t->labels_event = 0;
	if (h->misc & MISC_COMM_EXEC) {
		struct perf_process *p = &d->processes.data[t->process];
		p->before = p->space;
		map_space_init(&d->pool, &p->space);
	}
	return strtab_intern(&d->p->dict.strings, comm, &t->comm);
}

static int read_fork(struct perfdata *d, const struct record_header *h, struct perf_bytes b)
{
	uint32_t pid = perf_u32(&b), parent_pid = perf_u32(&b), tid = perf_u32(&b), parent_tid = perf_u32(&b);
	uint32_t parent, child;
	if (b.failed)
		return -EBADMSG;
	int r = perfdata_thread(d, parent_pid, parent_tid, &parent);
	if (r == 0)
		r = perfdata_thread(d, pid, tid, &child);
	if (r < 0)
		return r;
	struct perf_thread *t = &d->threads.data[child], *from = &d->threads.data[parent];
	t->comm = from->comm;
	t->labels_event = 0;
	if (t->process != from->process && !(h->misc & MISC_FORK_EXEC))
		map_space_fork(&d->pool, &d->processes.data[from->process].space, &d->processes.data[t->process].space);
	return 0;
}

/* A BPF program or other code made at run time has come or gone. */
static int read_ksymbol(struct perfdata *d, struct perf_bytes b)
{
	const struct perf_attr *a = perfdata_trailer_attr(d, b);
	uint64_t start = perf_u64(&b), end;
	uint32_t size = perf_u32(&b);
	perf_skip(&b, 2); /* its kind */
	uint32_t flags = perf_u16(&b), id;
	if (b.failed || perf_left(&b) < a->trailer_size)
		return -EBADMSG;
	struct slice name = perf_text(&b, perf_left(&b) - a->trailer_size);
	struct map_space *kernel = &d->processes.data[KERNEL_PROCESS].space;
	if (__builtin_add_overflow(start, size, &end))
		end = UINT64_MAX;
	if (flags & KSYMBOL_GONE) {
		map_space_drop(&d->pool, kernel, start, end);
		return 0;
	}
	struct map_area area = { .kind = FRAME_KERNEL };
	struct function function = { 0 };
	struct mapping row = { 0 };
	int r = intern_mapping(d, name, (struct str_id){ 0 }, &row, &area.mapping);
	if (r == 0) {
		function.name = row.path;
		r = dict_function(&d->p->dict, &function, &area.function);
	}
	if (r == 0)
		r = add_area(d, &area, &id);
	if (r == 0)
		map_space_put(&d->pool, kernel, start, end, id);
	return r;
}

int perfdata_read_event(struct perfdata *d, const struct record_header *h, struct perf_bytes body, uint64_t where)
{
	int r = 0;
	switch (h->type) {
	case RECORD_MMAP:
	case RECORD_MMAP2:
		r = read_mmap(d, h, body, where);
		if (r == -EBADMSG)
			return r;
		break;
	case RECORD_COMM:
		r = read_comm(d, h, body);
		break;
	case RECORD_FORK:
		r = read_fork(d, h, body);
		break;
	case RECORD_KSYMBOL:
		r = read_ksymbol(d, body);
		break;
	default:
		break;
	}
	if (r == 0)
		r = d->pool.error;
	if (r == -EBADMSG)
		return error_set(d->err, r, WHERE_FMT ": a record of type %" PRIu32 " is too short: %u bytes",
				 WHERE_ARGS(where), h->type, h->size);
	if (r == -E2BIG)
		return error_set(d->err, r, WHERE_FMT ": more than %" PRIu32 " mappings", WHERE_ARGS(where),
				 d->limits->n_locations);
	if (r < 0)
		return perfdata_fail_memory(d, r);
	r = perfdata_check_strings(d);
	if (r < 0)
		error_prefix(d->err, WHERE_FMT, WHERE_ARGS(where));
	return r;
}

/* --- frames --- */

static int intern_frame(struct perfdata *d, uint32_t area_id, enum frame_kind kind, uint64_t address, uint32_t *ret)
{
	const struct map_area *area = &d->areas.data[area_id];
	struct frame frame = { .address = address, .kind = (uint8_t)kind };
	struct frame_id id;
	int r = 0;
	if (area_id) {
		frame.address = address + area->bias;
		frame.function = area->function;
		frame.mapping = area->mapping;
		frame.kind = (uint8_t)area->kind;
	} else if (kind == FRAME_KERNEL) {
		if (d->kernel_mapping.v == 0) {
			struct mapping row = { 0 };
			r = intern_mapping(d, slice_str("[kernel.kallsyms]"), (struct str_id){ 0 }, &row,
					   &d->kernel_mapping);
		}
		frame.mapping = d->kernel_mapping;
	}
	if (r == 0 && d->p->dict.frames.n > d->limits->n_locations)
		r = -E2BIG;
	if (r == 0)
		r = dict_frame(&d->p->dict, &frame, &id);
	if (r == 0)
		*ret = id.v;
	return r;
}

int perfdata_frame(struct perfdata *d, uint32_t process, enum frame_kind kind, uint64_t address, uint32_t *ret)
{
	struct perf_process *p = &d->processes.data[process];
	uint64_t slot = (address ^ address >> 15 ^ (uint64_t)p->space.version * 0x9e3779b1u) % N_KNOWN_FRAMES;
	struct known_frame *known = &d->known[slot];
	if (known->version == p->space.version && known->address == address) {
		*ret = known->frame.v;
		return 0;
	}
	uint32_t area = map_space_find(&d->pool, &p->space, address);
	if (area)
		p->before.root = 0;
	else if (p->before.root)
		return intern_frame(d, map_space_find(&d->pool, &p->before, address), kind, address, ret);
	struct known_frame k = { .address = address, .version = p->space.version };
	int r = intern_frame(d, area, kind, address, &k.frame.v);
	if (r < 0)
		return r;
	*known = k;
	*ret = k.frame.v;
	return 0;
}
