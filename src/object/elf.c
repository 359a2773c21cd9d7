/* SPDX-License-Identifier: Apache-2.0 */
#include "object/elf.h"

#include "base/file.h"
#include "object/filewin.h"

#include <elf.h>
#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define WINDOW_SIZE   (16u << 10)
#define MAX_WINDOWS   1024 /* 16 MiB of headers: no real file comes near */
#define VDSO_MAX_SIZE (1u << 20)
#define NAME_SIZE     32 /* of a section; longer ones are none that is looked for */
#define NT_GO_BUILDID 4	 /* cmd/internal/buildid/note.go */

/* What is read on the way and not kept. */
struct elf_reader {
	struct elf *e;
	struct filewin w;
	struct error *err;
	uint64_t phoff, shoff;
	uint32_t n_ph, n_sh, names_index;
	struct elf_table names;	 /* of sections */
	Elf64_Phdr eh_frame_hdr; /* p_filesz 0 = none */
};

static void reader_done(struct elf_reader *r)
{
	filewin_done(&r->w);
}

static bool inside(const struct elf *e, uint64_t off, uint64_t size)
{
	return off <= e->file_size && size <= e->file_size - off;
}

static uint64_t align_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

struct note {
	uint32_t type;
	struct slice name, desc;
};

/* Notes: { namesz, descsz, type } name desc, name and desc padded to `align`.
 * The one at *pos; false at the end. */
static bool next_note(struct slice notes, uint64_t align, uint64_t *pos, struct note *ret)
{
	Elf64_Nhdr h;
	if (notes.size - *pos < sizeof(h))
		return false;
	memcpy(&h, notes.data + *pos, sizeof(h));
	uint64_t name = *pos + sizeof(h);
	uint64_t desc = align_up(name + h.n_namesz, align);
	uint64_t next = align_up(desc + h.n_descsz, align);
	if (desc + h.n_descsz > notes.size)
		return false;
	*ret = (struct note){ h.n_type, slice_of(notes.data + name, h.n_namesz),
			      slice_of(notes.data + desc, h.n_descsz) };
	*pos = next < notes.size ? next : notes.size;
	return true;
}

static bool is_build_id(const struct note *n)
{
	return n->type == NT_GNU_BUILD_ID && slice_eq(n->name, slice_of("GNU", 4)) && n->desc.size > 0 &&
	       n->desc.size <= ELF_BUILD_ID_MAX;
}

uint32_t elf_notes_build_id(struct slice notes, uint8_t out[static ELF_BUILD_ID_MAX])
{
	struct note n;
	for (uint64_t pos = 0; next_note(notes, 4, &pos, &n);) {
		if (!is_build_id(&n))
			continue;
		memcpy(out, n.desc.data, n.desc.size);
		return (uint32_t)n.desc.size;
	}
	return 0;
}

static void read_notes(struct elf_reader *r, uint64_t off, uint64_t size, uint64_t align)
{
	struct elf *e = r->e;
	struct note note;
	if (!inside(e, off, size))
		return;
	uint32_t n = size < WINDOW_SIZE ? (uint32_t)size : WINDOW_SIZE;
	const void *data = filewin_at(&r->w, off, n);
	struct slice notes = slice_of(data, data ? n : 0);
	for (uint64_t pos = 0; next_note(notes, align == 8 ? 8 : 4, &pos, &note);) {
		if (note.type == NT_GO_BUILDID && slice_eq(note.name, slice_of("Go\0", 4)))
			e->is_go = true;
		if (e->build_id_size || !is_build_id(&note))
			continue;
		memcpy(e->build_id, note.desc.data, note.desc.size);
		e->build_id_size = (uint32_t)note.desc.size;
	}
}

static int read_header(struct elf_reader *r)
{
	const Elf64_Ehdr *h = filewin_at(&r->w, 0, sizeof(*h));
	if (!h && r->w.error)
		return error_set(r->err, r->w.error, "cannot read the ELF header");
	const uint8_t *ident = h ? h->e_ident : filewin_at(&r->w, 0, EI_NIDENT);
	if (!ident)
		return error_set(r->err, -ENODATA, "%llu bytes are too short for an ELF file",
				 (unsigned long long)r->e->file_size);
	if (memcmp(ident, ELFMAG, SELFMAG) != 0)
		return error_set(r->err, -EBADMSG, "not an ELF file");
	if (ident[EI_CLASS] == ELFCLASS32)
		return error_set(r->err, -EPROTONOSUPPORT, "32-bit ELF files are not supported");
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
		return error_set(r->err, -EPROTONOSUPPORT, "only 64-bit little-endian ELF files are supported");
	if (!h)
		return error_set(r->err, -ENODATA, "ELF header is cut off at byte %llu",
				 (unsigned long long)r->e->file_size);
	if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64)
		return error_set(r->err, -EPROTONOSUPPORT, "ELF machine %u is not supported (x86-64 and arm64 are)",
				 h->e_machine);
	if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
		return error_set(r->err, -EPROTONOSUPPORT, "ELF type %u is neither an executable nor a shared object",
				 h->e_type);
	if (h->e_phnum == 0 || h->e_phentsize != sizeof(Elf64_Phdr))
		return error_set(r->err, -EBADMSG, "ELF header: %u program headers of %u bytes", h->e_phnum,
				 h->e_phentsize);
	r->e->machine = h->e_machine;
	r->phoff = h->e_phoff;
	r->n_ph = h->e_phnum;
	r->names_index = h->e_shstrndx;
	if (h->e_shentsize == sizeof(Elf64_Shdr) && h->e_shoff) {
		r->shoff = h->e_shoff;
		r->n_sh = h->e_shnum;
	}
	return 0;
}

/* One PT_LOAD. The part of it that lies in the file may be cut off: what is
 * there can still be named. */
static int add_load(struct elf_reader *r, const Elf64_Phdr *ph)
{
	struct elf *e = r->e;
	uint64_t end;
	if (__builtin_add_overflow(ph->p_vaddr, ph->p_memsz, &end) ||
	    __builtin_add_overflow(ph->p_offset, ph->p_filesz, &end) || ph->p_filesz > ph->p_memsz)
		return error_set(r->err, -EBADMSG, "PT_LOAD at %#llx: its sizes contradict each other",
				 (unsigned long long)ph->p_vaddr);
	if (e->n_loads == ELF_MAX_LOADS)
		return error_set(r->err, -E2BIG, "more than %d PT_LOAD segments", ELF_MAX_LOADS);
	e->loads[e->n_loads++] = (struct elf_load){
		.vaddr = ph->p_vaddr,
		.mem_size = ph->p_memsz,
		.file_off = ph->p_offset,
		.file_size = ph->p_filesz,
		.executable = ph->p_flags & PF_X,
	};
	return 0;
}

static int read_segments(struct elf_reader *r)
{
	for (uint32_t i = 0; i < r->n_ph; i++) {
		uint64_t off;
		const void *p = NULL;
		if (!__builtin_add_overflow(r->phoff, (uint64_t)i * sizeof(Elf64_Phdr), &off))
			p = filewin_at(&r->w, off, sizeof(Elf64_Phdr));
		if (!p)
			return error_set(r->err, r->w.error ? r->w.error : -ENODATA,
					 "program header %u lies outside the file", i);
		Elf64_Phdr ph; /* a copy: the window moves below, and p may be unaligned */
		memcpy(&ph, p, sizeof(ph));
		int ret = 0;
		if (ph.p_type == PT_LOAD)
			ret = add_load(r, &ph);
		else if (ph.p_type == PT_NOTE)
			read_notes(r, ph.p_offset, ph.p_filesz, ph.p_align);
		else if (ph.p_type == PT_DYNAMIC && inside(r->e, ph.p_offset, ph.p_filesz))
			r->e->dynamic = (struct elf_table){ ph.p_offset, ph.p_filesz };
		else if (ph.p_type == PT_GNU_EH_FRAME)
			r->eh_frame_hdr = ph;
		if (ret < 0)
			return ret;
	}
	return 0;
}

static bool read_section(struct elf_reader *r, uint32_t i, Elf64_Shdr *ret)
{
	uint64_t off;
	if (__builtin_add_overflow(r->shoff, (uint64_t)i * sizeof(*ret), &off))
		return false;
	const void *p = filewin_at(&r->w, off, sizeof(*ret));
	if (p)
		memcpy(ret, p, sizeof(*ret));
	return p;
}

/* A symbol table and the string table it links to, if both are in the file. */
static void take_symbols(struct elf_reader *r, const Elf64_Shdr *sh, struct elf_table *symbols, struct elf_table *names)
{
	Elf64_Shdr str;
	if (symbols->size || sh->sh_entsize != sizeof(Elf64_Sym) || !inside(r->e, sh->sh_offset, sh->sh_size) ||
	    sh->sh_link >= r->n_sh || !read_section(r, sh->sh_link, &str) || str.sh_type != SHT_STRTAB ||
	    !inside(r->e, str.sh_offset, str.sh_size))
		return;
	*symbols = (struct elf_table){ sh->sh_offset, sh->sh_size - sh->sh_size % sizeof(Elf64_Sym) };
	*names = (struct elf_table){ str.sh_offset, str.sh_size };
}

static void add_code(struct elf *e, const Elf64_Shdr *sh)
{
	uint64_t end;
	if (e->n_code < ELF_MAX_CODE && !__builtin_add_overflow(sh->sh_addr, sh->sh_size, &end))
		e->code[e->n_code++] = (struct elf_code){ sh->sh_addr, end };
}

/* "" when it has none, or one that is too long. */
static void read_section_name(struct elf_reader *r, const Elf64_Shdr *sh, char out[static NAME_SIZE])
{
	out[0] = 0;
	if (sh->sh_name >= r->names.size)
		return;
	uint64_t left = r->names.size - sh->sh_name;
	uint32_t n = left < NAME_SIZE ? (uint32_t)left : NAME_SIZE;
	const char *name = filewin_at(&r->w, r->names.off + sh->sh_name, n);
	if (name && memchr(name, 0, n))
		memcpy(out, name, strlen(name) + 1);
}

static void take_cfi(struct elf_reader *r, const Elf64_Shdr *sh, struct elf_cfi *ret)
{
	uint64_t end;
	if (!ret->size && inside(r->e, sh->sh_offset, sh->sh_size) &&
	    !__builtin_add_overflow(sh->sh_addr, sh->sh_size, &end))
		*ret = (struct elf_cfi){
			.off = sh->sh_offset, .size = sh->sh_size, .vaddr = sh->sh_addr, .is_debug = !sh->sh_addr
		};
}

static void take_section(struct elf_reader *r, const Elf64_Shdr *sh, struct elf_section *ret)
{
	uint64_t end;
	if (!ret->size && inside(r->e, sh->sh_offset, sh->sh_size) &&
	    !__builtin_add_overflow(sh->sh_addr, sh->sh_size, &end))
		*ret = (struct elf_section){ sh->sh_offset, sh->sh_size, sh->sh_addr };
}

static void take_table(struct elf_reader *r, const Elf64_Shdr *sh, struct elf_table *ret)
{
	if (!ret->size && inside(r->e, sh->sh_offset, sh->sh_size))
		*ret = (struct elf_table){ sh->sh_offset, sh->sh_size };
}

/* Sections known by their names only. */
static void read_named(struct elf_reader *r, const Elf64_Shdr *sh)
{
	struct elf *e = r->e;
	char name[NAME_SIZE];
	read_section_name(r, sh, name);
	if (strcmp(name, ".eh_frame") == 0)
		take_cfi(r, sh, &e->eh_frame);
	else if (strcmp(name, ".debug_frame") == 0 && !(sh->sh_flags & SHF_COMPRESSED))
		take_cfi(r, sh, &e->debug_frame);
	else if (strcmp(name, ".gopclntab") == 0 || strcmp(name, ".data.rel.ro.gopclntab") == 0)
		take_section(r, sh, &e->gopclntab);
	else if (strcmp(name, ".go.buildinfo") == 0)
		e->is_go = true;
	else if (strcmp(name, ".gnu_debuglink") == 0)
		take_table(r, sh, &e->debuglink);
	else if (strcmp(name, ".gnu_debugdata") == 0)
		take_table(r, sh, &e->debugdata);
	/* The GNU tools' own compression, from before SHF_COMPRESSED, has another name. */
	else if (strcmp(name, ".debug_info") == 0 || strcmp(name, ".zdebug_info") == 0)
		e->has_dwarf |= sh->sh_size && inside(e, sh->sh_offset, sh->sh_size);
}

/* .eh_frame as the run-time unwinder finds it, for files without section
 * headers. Its length stands nowhere: it ends with a length of 0. */
static void read_eh_frame_hdr(struct elf_reader *r)
{
	struct elf *e = r->e;
	const Elf64_Phdr *ph = &r->eh_frame_hdr;
	uint8_t head[8];
	int32_t offset;
	const void *p = ph->p_filesz >= sizeof(head) ? filewin_at(&r->w, ph->p_offset, sizeof(head)) : NULL;
	if (!p)
		return;
	memcpy(head, p, sizeof(head));
	/* Version 1; a pointer relative to its own place, as signed 32 bits. */
	if (head[0] != 1 || head[1] != 0x1b)
		return;
	memcpy(&offset, head + 4, sizeof(offset));
	uint64_t vaddr = ph->p_vaddr + 4 + (uint64_t)(int64_t)offset;
	for (uint32_t i = 0; i < e->n_loads; i++) {
		const struct elf_load *l = &e->loads[i];
		uint64_t at = vaddr - l->vaddr;
		if (vaddr >= l->vaddr && at < l->file_size && inside(e, l->file_off, l->file_size))
			e->eh_frame =
				(struct elf_cfi){ .off = l->file_off + at, .size = l->file_size - at, .vaddr = vaddr };
	}
}

static void read_sections(struct elf_reader *r)
{
	Elf64_Shdr sh;
	/* With 0xff00 sections or more, section 0 holds their number. */
	if (r->shoff && r->n_sh == 0 && read_section(r, 0, &sh) && sh.sh_size < UINT32_MAX)
		r->n_sh = (uint32_t)sh.sh_size;
	if (r->names_index < r->n_sh && read_section(r, r->names_index, &sh) && inside(r->e, sh.sh_offset, sh.sh_size))
		r->names = (struct elf_table){ sh.sh_offset, sh.sh_size };
	for (uint32_t i = 0; i < r->n_sh && read_section(r, i, &sh); i++) {
		if ((sh.sh_flags & (SHF_ALLOC | SHF_EXECINSTR)) == (SHF_ALLOC | SHF_EXECINSTR))
			add_code(r->e, &sh);
		if (sh.sh_type == SHT_SYMTAB)
			take_symbols(r, &sh, &r->e->symtab, &r->e->symtab_names);
		else if (sh.sh_type == SHT_DYNSYM)
			take_symbols(r, &sh, &r->e->dynsym, &r->e->dynsym_names);
		else if (sh.sh_type == SHT_NOTE)
			read_notes(r, sh.sh_offset, sh.sh_size, sh.sh_addralign);
		else if (sh.sh_type == SHT_X86_64_UNWIND)
			take_cfi(r, &sh, &r->e->eh_frame);
		else if (sh.sh_type == SHT_PROGBITS)
			read_named(r, &sh);
	}
}

bool elf_file_off(const struct elf *e, uint64_t vaddr, uint64_t size, uint64_t *ret)
{
	for (uint32_t i = 0; i < e->n_loads; i++) {
		const struct elf_load *l = &e->loads[i];
		if (vaddr < l->vaddr || vaddr - l->vaddr >= l->file_size || size > l->file_size - (vaddr - l->vaddr))
			continue;
		uint64_t off = l->file_off + (vaddr - l->vaddr);
		if (!inside(e, off, size))
			continue;
		*ret = off;
		return true;
	}
	return false;
}

/* File offset of a virtual address, 0 if it has none. */
static uint64_t file_off_of(const struct elf *e, uint64_t vaddr)
{
	uint64_t off;
	return elf_file_off(e, vaddr, 0, &off) ? off : 0;
}

static bool read_u32(struct elf_reader *r, uint64_t off, uint32_t *ret)
{
	const void *p = filewin_at(&r->w, off, sizeof(*ret));
	if (p)
		memcpy(ret, p, sizeof(*ret));
	return p;
}

/* DT_GNU_HASH: { n_buckets, first, n_bloom, shift } bloom[8 n] buckets[] chains[]
 * A chain ends at an odd hash; the table's last symbol is the end of the
 * chain that starts last. */
static uint32_t gnu_hash_count(struct elf_reader *r, uint64_t off)
{
	uint32_t n_buckets, first, n_bloom, last = 0, v;
	if (!read_u32(r, off, &n_buckets) || !read_u32(r, off + 4, &first) || !read_u32(r, off + 8, &n_bloom))
		return 0;
	uint64_t pos = off + 16 + (uint64_t)n_bloom * 8;
	for (uint32_t i = 0; i < n_buckets; i++, pos += 4) {
		if (!read_u32(r, pos, &v))
			return 0;
		if (v > last)
			last = v;
	}
	if (last < first)
		return first;
	pos += (uint64_t)(last - first) * 4;
	while (read_u32(r, pos, &v) && last < UINT32_MAX) {
		last++;
		if (v & 1)
			return last;
		pos += 4;
	}
	return 0;
}

/* .dynsym as the dynamic linker finds it, for files without section headers.
 * Its length stands nowhere: the hash tables imply it. */
static void read_dynamic(struct elf_reader *r)
{
	struct elf *e = r->e;
	uint64_t symtab = 0, strtab = 0, str_size = 0, hash = 0, gnu_hash = 0;
	for (uint64_t pos = 0; pos + sizeof(Elf64_Dyn) <= e->dynamic.size; pos += sizeof(Elf64_Dyn)) {
		const void *p = filewin_at(&r->w, e->dynamic.off + pos, sizeof(Elf64_Dyn));
		Elf64_Dyn dyn = { .d_tag = DT_NULL };
		if (p)
			memcpy(&dyn, p, sizeof(dyn));
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_SYMTAB)
			symtab = file_off_of(e, dyn.d_un.d_ptr);
		else if (dyn.d_tag == DT_STRTAB)
			strtab = file_off_of(e, dyn.d_un.d_ptr);
		else if (dyn.d_tag == DT_STRSZ)
			str_size = dyn.d_un.d_val;
		else if (dyn.d_tag == DT_HASH)
			hash = file_off_of(e, dyn.d_un.d_ptr);
		else if (dyn.d_tag == DT_GNU_HASH)
			gnu_hash = file_off_of(e, dyn.d_un.d_ptr);
	}
	uint32_t n = 0;
	if (hash && !read_u32(r, hash + 4, &n)) /* { n_buckets, n_symbols } */
		n = 0;
	if (n == 0 && gnu_hash)
		n = gnu_hash_count(r, gnu_hash);
	if (symtab && strtab && n && inside(e, strtab, str_size) &&
	    inside(e, symtab, (uint64_t)n * sizeof(Elf64_Sym))) {
		e->dynsym = (struct elf_table){ symtab, (uint64_t)n * sizeof(Elf64_Sym) };
		e->dynsym_names = (struct elf_table){ strtab, str_size };
	}
}

int elf_init(struct elf *ret, int fd, struct error *err)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "fstat: %m");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EBADMSG, "not a regular file");

	struct elf e = { .fd = fd, .file_size = (uint64_t)st.st_size };
	_cleanup_(reader_done)
	struct elf_reader r = { .e = &e, .err = err };
	int res = filewin_init(&r.w, fd, e.file_size, WINDOW_SIZE);
	if (res < 0)
		return error_set(err, res, "no memory for a window of %u bytes", WINDOW_SIZE);
	r.w.moves_left = MAX_WINDOWS;
	res = read_header(&r);
	if (res == 0)
		res = read_segments(&r);
	if (res < 0)
		return res;
	read_sections(&r);
	if (!e.dynsym.size && e.dynamic.size)
		read_dynamic(&r);
	if (!e.eh_frame.size)
		read_eh_frame_hdr(&r);
	if (r.w.error)
		return error_set(err, r.w.error, "cannot read the section headers: %s", strerror(-r.w.error));
	*ret = e;
	return 0;
}

bool elf_vaddr(const struct elf *e, uint64_t file_off, uint64_t *ret)
{
	const struct elf_load *best = NULL;
	for (uint32_t i = 0; i < e->n_loads; i++) {
		const struct elf_load *l = &e->loads[i];
		if (file_off >= l->file_off && file_off - l->file_off < l->file_size &&
		    (!best || (l->executable && !best->executable)))
			best = l;
	}
	if (best)
		*ret = best->vaddr + (file_off - best->file_off);
	return best;
}

size_t elf_build_id_hex(const struct elf *e, char out[static ELF_BUILD_ID_HEX])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;
	for (uint32_t i = 0; i < e->build_id_size; i++) {
		out[n++] = digits[e->build_id[i] >> 4];
		out[n++] = digits[e->build_id[i] & 15];
	}
	out[n] = 0;
	return n;
}

/* The image's size stands nowhere; its section headers come last in it. */
static size_t vdso_size(const uint8_t *image)
{
	Elf64_Ehdr h;
	memcpy(&h, image, sizeof(h));
	return h.e_shoff + (size_t)h.e_shnum * h.e_shentsize;
}

int elf_vdso_open(void)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	size_t size = image ? vdso_size(image) : 0;
	if (size == 0 || size > VDSO_MAX_SIZE)
		return -ENOENT;
	_cleanup_(close_fd)
	int fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fd_write_all(fd, image, size);
	return r < 0 ? r : take_fd(fd);
}
