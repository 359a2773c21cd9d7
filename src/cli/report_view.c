/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_view.h"

#include "base/saturate.h"
#include "model/inlining.h"
#include "model/namesake.h"
#include "model/quantity.h"
#include "object/name_shorten.h"

#define VALUE_COLUMNS	 10
#define MIN_NAME_COLUMNS 16 /* however narrow the terminal */
#define FLUSH_SIZE	 (64 << 10)

int64_t report_whole(const struct profile *p, uint32_t type)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		int64_t v = p->value[type].data[i];
		sum = i64_add_saturating(sum, v >= 0 ? v : v == INT64_MIN ? INT64_MAX : -v);
	}
	return sum;
}

double report_percent(const struct report *r, int64_t value)
{
	return r->whole ? 100.0 * (double)value / (double)r->whole : 0;
}

static struct slice type_name(const struct report *r)
{
	return strtab_get(&r->profile->dict.strings, r->profile->types[r->type].type);
}

static struct slice type_unit(const struct report *r)
{
	return strtab_get(&r->profile->dict.strings, r->profile->types[r->type].unit);
}

static void put_quantity(const struct report *r, int64_t value, int columns)
{
	char text[QUANTITY_SIZE];
	quantity_format(value, (const char *)type_unit(r).data, text);
	for (int n = (int)strlen(text); n < columns; n++)
		(void)putchar(' ');
	terminal_put_name(stdout, slice_str(text), 0);
}

void report_put_quantity(const struct report *r, int64_t value)
{
	put_quantity(r, value, 0);
}

void report_put_value(const struct report *r, int64_t value)
{
	put_quantity(r, value, VALUE_COLUMNS);
}

void report_put_share(const struct report *r, int64_t value)
{
	double percent = report_percent(r, value);
	const char *color = terminal_share(&r->terminal, percent);
	(void)printf("%s%6.2f%%%s", color, percent, *color ? terminal_plain(&r->terminal) : "");
}

/* Behind the name; what is left of `room` is its. */
static void put_place(const struct report *r, struct slice file, const char *line, uint32_t room)
{
	uint32_t n = (uint32_t)strlen(line) + 1;
	(void)printf(" %s", terminal_dim(&r->terminal));
	terminal_put_name(stdout, file, room > n ? room - n : room ? 1 : 0);
	(void)printf("%s%s", line, terminal_plain(&r->terminal));
}

static enum inlining inlining_of(const struct report *r, uint32_t func)
{
	return r->inlining ? r->inlining[func] : INLINED_NEVER;
}

/* Lives until the next one, when it is shortened. */
static struct slice name_of(const struct report *r, const struct tree_func *f)
{
	struct slice name = strtab_get(&r->tree->names, f->name);
	return r->shorten ? slice_of(r->short_name, name_shorten(name, r->shorten, r->short_name)) : name;
}

void report_put_function(const struct report *r, uint32_t func, uint32_t used)
{
	static const char *const marks[] = {
		[INLINED_NEVER] = "", [INLINED_PARTLY] = " (partial-inline)", [INLINED_ALWAYS] = " (inline)"
	};
	const struct calltree *t = r->tree;
	const struct tree_func *f = &t->funcs[func];
	const char *mark = marks[inlining_of(r, func)];
	struct slice apart = namesake_text(t, func, r->namesake ? r->namesake[func] : NAMESAKE_NONE);
	uint32_t width = r->terminal.width;
	used += (uint32_t)strlen(mark) + (width ? terminal_remark_columns(apart) : 0);
	struct slice name = name_of(r, f), file = strtab_get(&t->names, f->file);
	uint32_t room = width > used + MIN_NAME_COLUMNS ? width - used : MIN_NAME_COLUMNS;
	char line[16] = "";
	if (f->line)
		(void)snprintf(line, sizeof(line), ":%u", f->line);
	/* Half for the name, more where the place needs less. */
	size_t place = f->line ? 1 + file.size + strlen(line) : 0;
	uint32_t columns = place < room / 2 ? room - (uint32_t)place : room - room / 2;
	terminal_put_name(stdout, name, width ? columns : 0);
	if (f->line)
		put_place(r, file, line, width ? room - (name.size < columns ? (uint32_t)name.size : columns) : 0);
	terminal_put_remark(&r->terminal, apart);
	(void)puts(mark);
}

bool report_heading(const struct report *r)
{
	terminal_put_name(stdout, type_name(r), 0);
	uint32_t n = profile_n_samples(r->profile);
	if (r->whole == 0 && n == 0) {
		(void)puts(": the profile has no samples");
		return false;
	}
	if (r->whole == 0) {
		(void)printf(": all %u samples are 0\n", n);
		return false;
	}
	if (r->tree->n == 1 && r->tree->self[0] == 0) {
		(void)puts(": the filters leave nothing");
		return false;
	}
	(void)fputs(": ", stdout);
	report_put_quantity(r, r->tree->total[0]);
	if (r->tree->total[0] != r->whole) {
		(void)fputs(" of ", stdout);
		report_put_quantity(r, r->whole);
		(void)printf(" (%.2f%%)", report_percent(r, r->tree->total[0]));
	}
	return true;
}

void report_json_begin(struct jsonw *w, const struct report *r, const char *view)
{
	jsonw_object(w, NULL);
	jsonw_cstr(w, "view", view);
	jsonw_str(w, "type", type_name(r));
	jsonw_str(w, "unit", type_unit(r));
	jsonw_i64(w, "total", r->tree->total[0]);
	jsonw_i64(w, "whole", r->whole);
	if (r->label)
		jsonw_cstr(w, "label", r->label);
}

void report_json_function(struct jsonw *w, const struct report *r, uint32_t func)
{
	static const char *const words[] = {
		[INLINED_NEVER] = "no", [INLINED_PARTLY] = "partly", [INLINED_ALWAYS] = "yes"
	};
	const struct calltree *t = r->tree;
	const struct tree_func *f = &t->funcs[func];
	jsonw_str(w, "name", name_of(r, f));
	jsonw_str(w, "file", strtab_get(&t->names, f->file));
	jsonw_str(w, "module", strtab_get(&t->names, f->module));
	if (f->line)
		jsonw_u64(w, "line", f->line);
	jsonw_cstr(w, "inline", words[inlining_of(r, func)]);
}

void report_json_flush(struct jsonw *w, bool all)
{
	if (w->out->n < FLUSH_SIZE && !all)
		return;
	(void)fwrite(w->out->data, 1, w->out->n, stdout);
	w->out->n = 0;
}
