/* SPDX-License-Identifier: Apache-2.0 */
#include "format/csv.h"

#include "base/utf8.h"
#include "model/calltree.h"
#include "model/toptable.h"

#include <errno.h>
#include <inttypes.h>

static void put_text(struct buf *out, struct slice s)
{
	static const uint8_t replacement[] = { 0xef, 0xbf, 0xbd }; /* U+FFFD */
	bool is_formula = s.size && memchr("=+-@\t\r\n", s.data[0], 7), needs_quotes = false;
	for (size_t i = 0; i < s.size; i++)
		needs_quotes = needs_quotes || memchr(",\"\r\n", s.data[i], 4);
	if (needs_quotes)
		buf_add_byte(out, '"');
	if (is_formula)
		buf_add_byte(out, '\'');
	for (size_t i = 0, n; i < s.size; i += n ? n : 1) {
		n = utf8_sequence(s.data + i, s.size - i);
		if (s.data[i] == '"')
			buf_add_byte(out, '"');
		buf_add(out, n ? s.data + i : replacement, n ? n : sizeof(replacement));
	}
	if (needs_quotes)
		buf_add_byte(out, '"');
	buf_add_byte(out, ',');
}

static double percent(int64_t value, int64_t total)
{
	return total ? 100.0 * (double)value / (double)total : 0;
}

static int put_rows(const struct profile *p, uint32_t type, const struct calltree *t, struct buf *out)
{
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	uint32_t n;
	int r = top_compute(t, TOP_BY_SELF, &rows, &n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n && !out->failed; i++) {
		const struct tree_func *f = &t->funcs[rows[i].func];
		put_text(out, strtab_get(&p->dict.strings, p->types[type].type));
		put_text(out, strtab_get(&p->dict.strings, p->types[type].unit));
		put_text(out, strtab_get(&t->names, f->name));
		put_text(out, strtab_get(&t->names, f->file));
		put_text(out, strtab_get(&t->names, f->module));
		buf_printf(out, "%" PRId64 ",%" PRId64 ",%.4f,%.4f\r\n", rows[i].self, rows[i].total,
			   percent(rows[i].self, t->total[0]), percent(rows[i].total, t->total[0]));
	}
	return out->failed ? -E2BIG : 0;
}

static int put_type(const struct profile *p, uint32_t type, struct buf *out)
{
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(p->budget);
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	_cleanup_(calltree_done)
	struct calltree t = { .budget = p->budget };
	if (!b || !self)
		return -ENOMEM;
	profile_node_values(p, type, self);
	int r = calltree_add(b, &p->dict, self, slice_of("", 0), NULL);
	if (r == 0)
		r = calltree_finish(b, &t);
	return r < 0 ? r : put_rows(p, type, &t, out);
}

int csv_encode(const struct profile *p, uint32_t type, struct buf *out)
{
	int r = 0;
	buf_add_str(out, "type,unit,function,file,module,self,total,self_percent,total_percent\r\n");
	for (uint32_t i = 0; r == 0 && i < p->n_types; i++)
		if (type == CSV_ALL_TYPES || type == i)
			r = put_type(p, i, out);
	return r < 0 ? r : out->failed ? -E2BIG : 0;
}
