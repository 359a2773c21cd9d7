/* SPDX-License-Identifier: Apache-2.0 */
#include "format/memory_map.h"

#include "format/scan.h"

#define USUAL_START   0x400000
#define EXPANDED_SIZE 4096

void memory_map_init(struct memory_map *m, struct dict *dict)
{
	*m = (struct memory_map){ .dict = dict };
}

static void layer_done(struct map_layer *l)
{
	free(l->point);
	free(l->owner);
}

void memory_map_done(struct memory_map *m)
{
	if (m->dict)
		vec_done(m->dict->budget, &m->rows);
	free(m->extended);
	layer_done(&m->own);
	layer_done(&m->before);
}

/* --- lines --- */

/* glog's prefix: "I0101 server.cc:123] 00400000-...". */
static struct slice without_log_prefix(struct slice line)
{
	const uint8_t *end = slice_first(line, ']');
	if (!end || memchr(line.data, '[', (size_t)(end - line.data)))
		return line;
	const uint8_t *digit = end;
	while (digit > line.data && digit[-1] >= '0' && digit[-1] <= '9')
		digit--;
	size_t used = (size_t)(end - line.data) + 1;
	if (digit == end || digit < line.data + 2 || digit[-1] != ':' || used == line.size ||
	    !scan_is_blank(line.data[used]))
		return line;
	return slice_of(line.data + used + 1, line.size - used - 1);
}

/* Puts values for "$name"; a line that grows past `size` is left as it is. */
static struct slice expand(const struct memory_map *m, struct slice line, uint8_t *into, size_t size)
{
	if (m->n_variables == 0 || !slice_first(line, '$'))
		return line;
	size_t n = 0;
	for (size_t i = 0; i < line.size;) {
		struct slice put = slice_of(line.data + i, 1);
		size_t used = 1;
		for (uint32_t v = 0; line.data[i] == '$' && v < m->n_variables; v++) {
			struct slice name = m->variable[v].name;
			if (line.size - i > name.size && memcmp(line.data + i + 1, name.data, name.size) == 0) {
				put = m->variable[v].value;
				used = name.size + 1;
				break;
			}
		}
		if (put.size > size - n)
			return line;
		memcpy(into + n, put.data, put.size);
		n += put.size;
		i += used;
	}
	return slice_of(into, n);
}

static bool scan_range(struct scan *s, struct mapping *row)
{
	scan_blanks(s);
	(void)scan_text(s, "0x");
	if (scan_u64(s, 16, &row->start) < 0)
		return false;
	bool blank = scan_blanks(s), dash = scan_byte(s, '-');
	scan_blanks(s);
	(void)scan_text(s, "0x");
	if (!(blank || dash) || scan_u64(s, 16, &row->limit) < 0)
		return false;
	(void)scan_byte(s, ':');
	return scan_done(s) || scan_is_blank(*s->at);
}

/* "r-xp", when that is the next word. */
static bool scan_permissions(struct scan *s, bool *ret_executable)
{
	struct scan t = *s;
	scan_blanks(&t);
	struct slice word = scan_word(&t);
	for (size_t i = 0; i < word.size; i++)
		if (!memchr("-rwxps", word.data[i], 6))
			return false;
	if (word.size == 0)
		return false;
	*ret_executable = slice_first(word, 'x') != NULL;
	*s = t;
	return true;
}

/* " 00bca000 08:01 21306940    /path with blanks (deleted)" */
static bool scan_proc_tail(struct scan *s, struct mapping *row, struct slice *ret_path)
{
	struct scan t = *s;
	uint64_t major, minor, inode, offset = 0;
	scan_blanks(&t);
	if (scan_u64(&t, 16, &offset) < 0 || !scan_blanks(&t) || scan_u64(&t, 16, &major) < 0 || !scan_byte(&t, ':') ||
	    scan_u64(&t, 16, &minor) < 0 || !scan_blanks(&t) || scan_u64(&t, 10, &inode) < 0 ||
	    !(scan_done(&t) || scan_blanks(&t)))
		return false;
	row->offset = offset;
	*ret_path = slice_trimmed(scan_rest(&t));
	*s = t;
	return true;
}

/* " /path (@offset) build-id" */
static void scan_brief_tail(struct scan *s, struct mapping *row, struct slice *ret_path, struct slice *ret_build_id)
{
	scan_blanks(s);
	*ret_path = scan_word(s);
	scan_blanks(s);
	struct scan t = *s;
	uint64_t offset;
	if (scan_text(&t, "(@") && scan_u64(&t, 16, &offset) == 0 && scan_byte(&t, ')')) {
		row->offset = offset;
		*s = t;
		scan_blanks(s);
	}
	struct slice id = scan_word(s);
	for (size_t i = 0; i < id.size; i++)
		if (scan_digit(id.data[i]) > 15)
			return;
	*ret_build_id = id;
}

static struct slice without_deleted(struct slice path)
{
	static const char mark[] = " (deleted)";
	size_t n = sizeof(mark) - 1;
	if (path.size > n && memcmp(path.data + path.size - n, mark, n) == 0)
		path.size -= n;
	return path;
}

static int add_row(struct memory_map *m, struct mapping *row, struct slice path, struct slice build_id,
		   const struct format_limits *limits)
{
	if (m->rows.n >= limits->n_locations)
		return -E2BIG;
	int r = vec_reserve(m->dict->budget, &m->rows, 1);
	if (r == 0)
		r = strtab_intern(&m->dict->strings, without_deleted(path), &row->path);
	if (r == 0)
		r = strtab_intern(&m->dict->strings, build_id, &row->build_id);
	if (r == 0)
		m->rows.data[m->rows.n++] = *row;
	return r;
}

static void note_variable(struct memory_map *m, struct slice line)
{
	const uint8_t *equals = slice_first(line, '=');
	if (!equals || m->n_variables == MEMORY_MAP_VARIABLES) {
		m->n_skipped++;
		return;
	}
	size_t at = (size_t)(equals - line.data);
	struct slice name = slice_trimmed(slice_of(line.data, at));
	if (name.size == 0) {
		m->n_skipped++;
		return;
	}
	m->variable[m->n_variables].name = name;
	m->variable[m->n_variables++].value = slice_trimmed(slice_of(line.data + at + 1, line.size - at - 1));
}

int memory_map_line(struct memory_map *m, struct slice line, const struct format_limits *limits)
{
	uint8_t expanded[EXPANDED_SIZE];
	line = slice_trimmed(without_log_prefix(line));
	if (line.size == 0)
		return 0;
	struct scan s = scan_of(expand(m, line, expanded, sizeof(expanded)));
	struct mapping row = { 0 };
	struct slice path = { 0 }, build_id = { 0 };
	bool executable = true;
	if (!scan_range(&s, &row)) {
		note_variable(m, line);
		return 0;
	}
	(void)scan_permissions(&s, &executable);
	if (!scan_proc_tail(&s, &row, &path))
		scan_brief_tail(&s, &row, &path, &build_id);
	return executable ? add_row(m, &row, path, build_id, limits) : 0;
}

/* --- putting right --- */

static struct slice text_of(const struct memory_map *m, struct str_id id)
{
	return strtab_get(&m->dict->strings, id);
}

/* One file, one address behind the other, and offsets that say so. */
static bool are_neighbours(const struct mapping *a, const struct mapping *b)
{
	if (a->path.v && b->path.v && a->path.v != b->path.v)
		return false;
	if (a->build_id.v && b->build_id.v && a->build_id.v != b->build_id.v)
		return false;
	if (a->limit != b->start)
		return false;
	return !a->offset || !b->offset || a->offset + (a->limit - a->start) == b->offset;
}

static void join_neighbours(struct memory_map *m)
{
	uint32_t n = m->rows.n ? 1 : 0;
	for (uint32_t i = 1; i < m->rows.n; i++) {
		struct mapping *last = &m->rows.data[n - 1], *row = &m->rows.data[i];
		if (!are_neighbours(last, row)) {
			m->rows.data[n++] = *row;
			continue;
		}
		last->limit = row->limit;
		if (row->path.v)
			last->path = row->path;
		if (row->build_id.v)
			last->build_id = row->build_id;
	}
	m->rows.n = n;
}

/* "libc.so", "libc.so.6", "libfoo.so_1" */
static bool is_library(struct slice path)
{
	for (size_t i = 0; i + 3 <= path.size; i++) {
		if (memcmp(path.data + i, ".so", 3) != 0)
			continue;
		if (i + 3 == path.size)
			return true;
		if (i + 4 < path.size && memchr("._", path.data[i + 3], 2) && path.data[i + 4] >= '0' &&
		    path.data[i + 4] <= '9')
			return true;
	}
	return false;
}

static void put_program_first(struct memory_map *m)
{
	for (uint32_t i = 0; i < m->rows.n; i++) {
		struct slice path = text_of(m, m->rows.data[i].path);
		if (path.size == 0 || path.data[0] == '[' || is_library(path))
			continue;
		struct mapping program = m->rows.data[i];
		m->rows.data[i] = m->rows.data[0];
		m->rows.data[0] = program;
		return;
	}
}

static void fix_program(struct memory_map *m)
{
	if (m->rows.n > 1 && slice_has_prefix(text_of(m, m->rows.data[0].path), "/anon_hugepage") &&
	    m->rows.data[0].limit == m->rows.data[1].start) {
		m->rows.n--;
		memmove(m->rows.data, m->rows.data + 1, m->rows.n * sizeof(*m->rows.data));
	}
	if (m->rows.n > 0 && m->rows.data[0].start - m->rows.data[0].offset == USUAL_START) {
		m->rows.data[0].start = USUAL_START;
		m->rows.data[0].offset = 0;
	}
}

/* --- which row holds an address --- */

struct range {
	uint64_t from, to; /* [from, to), empty unless from < to */
};

static struct range own_range(const struct mapping *row)
{
	return (struct range){ row->start, row->limit };
}

static struct range range_before(const struct mapping *row)
{
	return (struct range){ row->offset < row->start ? row->start - row->offset : 0, row->offset ? row->start : 0 };
}

static int compare_point(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Index of the last point <= address; UINT32_MAX before the first. */
static uint32_t find_point(const struct map_layer *l, uint64_t address)
{
	uint32_t low = 0, high = l->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (l->point[middle] <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/* The first free piece from i on; paths are halved on the way. */
static uint32_t next_free(uint32_t *next, uint32_t i)
{
	while (next[i] != i) {
		next[i] = next[next[i]];
		i = next[i];
	}
	return i;
}

/* Cuts the line at every end of a range and gives each piece to the first row
 * that covers it; next_free() steps over what has been given away. */
static int layer_build(struct map_layer *l, const struct memory_map *m,
		       struct range (*range_of)(const struct mapping *))
{
	size_t max = (size_t)m->rows.n * 2;
	l->point = malloc((max + 1) * sizeof(*l->point));
	l->owner = calloc(max + 1, sizeof(*l->owner));
	_cleanup_(free_ptr)
	uint32_t *next = malloc((max + 1) * sizeof(*next));
	if (!l->point || !l->owner || !next)
		return -ENOMEM;
	uint32_t n = 0;
	for (uint32_t i = 0; i < m->rows.n; i++) {
		struct range range = range_of(&m->rows.data[i]);
		if (range.from >= range.to)
			continue;
		l->point[n++] = range.from;
		l->point[n++] = range.to;
	}
	qsort(l->point, n, sizeof(*l->point), compare_point);
	for (uint32_t i = 0; i < n; i++)
		if (l->n == 0 || l->point[i] != l->point[l->n - 1])
			l->point[l->n++] = l->point[i];
	for (uint32_t i = 0; i <= l->n; i++)
		next[i] = i;
	for (uint32_t i = 0; i < m->rows.n; i++) {
		struct range range = range_of(&m->rows.data[i]);
		if (range.from >= range.to)
			continue;
		uint32_t end = find_point(l, range.to);
		for (uint32_t k = next_free(next, find_point(l, range.from)); k < end; k = next_free(next, k)) {
			l->owner[k] = i + 1;
			next[k] = k + 1;
		}
	}
	return 0;
}

int memory_map_seal(struct memory_map *m)
{
	join_neighbours(m);
	put_program_first(m);
	fix_program(m);
	m->extended = calloc((size_t)m->rows.n + 1, sizeof(*m->extended));
	if (!m->extended)
		return -ENOMEM;
	int r = layer_build(&m->own, m, own_range);
	return r < 0 ? r : layer_build(&m->before, m, range_before);
}

uint32_t memory_map_find(struct memory_map *m, uint64_t address)
{
	uint32_t i = find_point(&m->own, address);
	if (i != UINT32_MAX && m->own.owner[i])
		return m->own.owner[i] - 1;
	i = find_point(&m->before, address);
	if (i == UINT32_MAX || !m->before.owner[i])
		return UINT32_MAX;
	m->extended[m->before.owner[i] - 1] = true;
	return m->before.owner[i] - 1;
}

int memory_map_intern(struct memory_map *m, struct mapping_id *ret)
{
	for (uint32_t i = 0; i < m->rows.n; i++) {
		struct mapping *row = &m->rows.data[i];
		if (m->extended[i]) {
			row->start -= row->offset;
			row->offset = 0;
		}
		int r = dict_mapping(m->dict, row, &ret[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
