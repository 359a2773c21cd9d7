/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_view.h"

#include "base/saturate.h"
#include "model/quantity.h"

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

void report_put_function(const struct report *r, const struct calltree *t, uint32_t func, uint32_t used)
{
	uint32_t width = r->terminal.width, columns = 0;
	if (width)
		columns = width > used + MIN_NAME_COLUMNS ? width - used : MIN_NAME_COLUMNS;
	terminal_put_name(stdout, strtab_get(&t->names, t->funcs[func].name), columns);
	(void)putchar('\n');
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
	put_quantity(r, r->tree->total[0], 0);
	if (r->tree->total[0] != r->whole) {
		(void)fputs(" of ", stdout);
		put_quantity(r, r->whole, 0);
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
}

void report_json_function(struct jsonw *w, const struct calltree *t, uint32_t func)
{
	const struct tree_func *f = &t->funcs[func];
	jsonw_str(w, "name", strtab_get(&t->names, f->name));
	jsonw_str(w, "file", strtab_get(&t->names, f->file));
	jsonw_str(w, "module", strtab_get(&t->names, f->module));
}

void report_json_flush(struct jsonw *w, bool all)
{
	if (w->out->n < FLUSH_SIZE && !all)
		return;
	(void)fwrite(w->out->data, 1, w->out->n, stdout);
	w->out->n = 0;
}
