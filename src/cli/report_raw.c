/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_raw.h"

#include "base/jsonw.h"
#include "cli/report_view.h"
#include "cli/terminal.h"
#include "model/locations.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

struct raw {
	const struct profile *p;
	struct locations locations;
	uint32_t *number;   /* location's by chain; 0 = not yet given */
	VEC(uint32_t) used; /* chains in the order of their numbers */
};

static void raw_done(struct raw *r)
{
	locations_done(&r->locations);
	free(r->number);
	vec_done(NULL, &r->used);
}

static int raw_init(struct raw *r, const struct profile *p)
{
	*r = (struct raw){ .p = p };
	int k = locations_init(&r->locations, &p->dict);
	if (k < 0)
		return k;
	uint32_t n = r->locations.chains.n;
	r->number = calloc(n, sizeof(*r->number));
	/* All the room there can be need of: giving out a number cannot fail. */
	return r->number ? vec_reserve(NULL, &r->used, n) : -ENOMEM;
}

static uint32_t location_number(struct raw *r, struct node_id node)
{
	uint32_t chain = r->locations.chain_of[node.v];
	if (!r->number[chain]) {
		r->used.data[r->used.n++] = chain;
		r->number[chain] = r->used.n;
	}
	return r->number[chain];
}

static struct slice word(const struct raw *r, struct str_id id)
{
	return strtab_get(&r->p->dict.strings, id);
}

static void put_word(const struct raw *r, struct str_id id)
{
	terminal_put_name(stdout, word(r, id), 0);
}

static void put_line(const struct raw *r, const char *key, struct str_id value)
{
	if (!value.v)
		return;
	(void)fputs(key, stdout);
	put_word(r, value);
	(void)putchar('\n');
}

static void print_time(int64_t ns)
{
	if (ns == 0)
		return;
	char text[64];
	time_t seconds = (time_t)(ns / 1000000000 - (ns % 1000000000 < 0));
	struct tm tm;
	if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		return;
	(void)printf("Time: %s.%09" PRId64 " +0000 UTC\n", text, ns - (int64_t)seconds * 1000000000);
}

static void print_head(const struct raw *r)
{
	const struct profile *p = r->p;
	for (uint32_t i = 0; i < p->comments.n; i++) {
		(void)fputs("Comment: ", stdout);
		put_word(r, p->comments.data[i]);
		(void)putchar('\n');
	}
	put_line(r, "Doc: ", p->doc_url);
	put_line(r, "DropFrames: ", p->drop_frames);
	put_line(r, "KeepFrames: ", p->keep_frames);
	(void)fputs("PeriodType: ", stdout);
	put_word(r, p->period_type.type);
	(void)putchar(' ');
	put_word(r, p->period_type.unit);
	(void)printf("\nPeriod: %" PRId64 "\n", p->period);
	print_time(p->time_ns);
	if (p->duration_ns)
		(void)printf("Duration: %" PRId64 " ns\n", p->duration_ns);
	(void)puts("Samples:");
	for (uint32_t t = 0; t < p->n_types; t++) {
		if (t > 0)
			(void)putchar(' ');
		put_word(r, p->types[t].type);
		(void)putchar('/');
		put_word(r, p->types[t].unit);
		if (p->default_type.v && p->types[t].type.v == p->default_type.v)
			(void)fputs("[dflt]", stdout);
	}
	(void)putchar('\n');
}

static void print_label(const struct raw *r, const struct label *l)
{
	put_word(r, l->key);
	(void)fputs(":[", stdout);
	if (l->is_num) {
		(void)printf("%" PRId64, l->num);
		if (l->unit.v)
			(void)putchar(' ');
		put_word(r, l->unit);
	} else {
		put_word(r, l->str);
	}
	(void)putchar(']');
}

static void print_labels(const struct raw *r, struct labels_id id, bool numbers)
{
	uint32_t n;
	const struct label *set = profile_label_set(r->p, id, &n);
	bool any = false;
	for (uint32_t i = 0; i < n; i++) {
		if ((set[i].is_num != 0) != numbers)
			continue;
		(void)fputs(any ? " " : "                ", stdout);
		print_label(r, &set[i]);
		any = true;
	}
	if (any)
		(void)putchar('\n');
}

static void print_sample(struct raw *r, uint32_t row)
{
	const struct profile *p = r->p;
	for (uint32_t t = 0; t < p->n_types; t++)
		(void)printf(" %10" PRId64, p->value[t].data[row]);
	(void)fputs(":", stdout);
	for (struct node_id node = p->node.data[row]; node.v; node = locations_caller(&r->locations, node))
		(void)printf(" %u", location_number(r, node));
	(void)putchar('\n');
	print_labels(r, p->labels.data[row], false);
	print_labels(r, p->labels.data[row], true);
}

static void print_function(const struct raw *r, const struct frame *f)
{
	const struct function *fn = &r->p->dict.functions.data[f->function.v];
	put_word(r, fn->name);
	(void)putchar(' ');
	put_word(r, fn->file);
	(void)printf(":%u:%u s=%u", f->line, f->column, fn->start_line);
	if (!fn->system_name.v || fn->name.v == fn->system_name.v)
		return;
	(void)putchar('(');
	put_word(r, fn->system_name);
	(void)putchar(')');
}

static void print_location(const struct raw *r, uint32_t number)
{
	const struct chain *chain = &r->locations.chains.data[r->used.data[number - 1]];
	const struct frame *f = &r->p->dict.frames.data[chain->frame.v];
	(void)printf("%6u: 0x%" PRIx64, number, f->address);
	if (f->mapping.v)
		(void)printf(" M=%u", f->mapping.v);
	if (f->flags & FRAME_IS_FOLDED)
		(void)fputs(" [F]", stdout);
	if (!chain->into && !f->function.v && !f->line && !f->column) {
		(void)putchar('\n');
		return;
	}
	for (;;) {
		(void)putchar(' ');
		if (f->function.v)
			print_function(r, f);
		else
			(void)fputs("??", stdout);
		(void)putchar('\n');
		if (!chain->into)
			return;
		chain = &r->locations.chains.data[chain->into];
		f = &r->p->dict.frames.data[chain->frame.v];
		(void)fputs("            ", stdout);
	}
}

static void print_mapping(const struct raw *r, uint32_t id)
{
	const struct mapping *m = &r->p->dict.mappings.data[id];
	(void)printf("%u: 0x%" PRIx64 "/0x%" PRIx64 "/0x%" PRIx64 " ", id, m->start, m->limit, m->offset);
	put_word(r, m->path);
	(void)putchar(' ');
	put_word(r, m->build_id);
	(void)printf(" %s%s%s%s\n", m->flags & MAPPING_HAS_FUNCTIONS ? "[FN]" : "",
		     m->flags & MAPPING_HAS_FILENAMES ? "[FL]" : "", m->flags & MAPPING_HAS_LINES ? "[LN]" : "",
		     m->flags & MAPPING_HAS_INLINES ? "[IN]" : "");
}

static void raw_text(struct raw *r)
{
	print_head(r);
	for (uint32_t i = 0; i < profile_n_samples(r->p); i++)
		print_sample(r, i);
	(void)puts("Locations");
	for (uint32_t i = 1; i <= r->used.n; i++)
		print_location(r, i);
	(void)puts("Mappings");
	for (uint32_t i = 1; i < r->p->dict.mappings.n; i++)
		print_mapping(r, i);
}

/* --- JSON --- */

static void json_word(const struct raw *r, struct jsonw *w, const char *key, struct str_id id)
{
	jsonw_str(w, key, word(r, id));
}

static void json_hex(struct jsonw *w, const char *key, uint64_t value)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
	jsonw_cstr(w, key, text);
}

static void json_type(const struct raw *r, struct jsonw *w, const char *key, const struct value_type *t)
{
	jsonw_object(w, key);
	json_word(r, w, "type", t->type);
	json_word(r, w, "unit", t->unit);
	jsonw_end(w, '}');
}

static void json_head(const struct raw *r, struct jsonw *w)
{
	const struct profile *p = r->p;
	jsonw_cstr(w, "view", "raw");
	jsonw_array(w, "types");
	for (uint32_t t = 0; t < p->n_types; t++)
		json_type(r, w, NULL, &p->types[t]);
	jsonw_end(w, ']');
	json_word(r, w, "default_type", p->default_type);
	json_type(r, w, "period_type", &p->period_type);
	jsonw_i64(w, "period", p->period);
	jsonw_i64(w, "time_ns", p->time_ns);
	jsonw_i64(w, "duration_ns", p->duration_ns);
	json_word(r, w, "doc_url", p->doc_url);
	json_word(r, w, "drop_frames", p->drop_frames);
	json_word(r, w, "keep_frames", p->keep_frames);
	jsonw_array(w, "comments");
	for (uint32_t i = 0; i < p->comments.n; i++)
		json_word(r, w, NULL, p->comments.data[i]);
	jsonw_end(w, ']');
}

static void json_labels(const struct raw *r, struct jsonw *w, struct labels_id id)
{
	uint32_t n;
	const struct label *set = profile_label_set(r->p, id, &n);
	jsonw_array(w, "labels");
	for (uint32_t i = 0; i < n; i++) {
		jsonw_object(w, NULL);
		json_word(r, w, "key", set[i].key);
		if (set[i].is_num) {
			jsonw_i64(w, "num", set[i].num);
			json_word(r, w, "unit", set[i].unit);
		} else {
			json_word(r, w, "str", set[i].str);
		}
		jsonw_end(w, '}');
	}
	jsonw_end(w, ']');
}

static void json_sample(struct raw *r, struct jsonw *w, uint32_t row)
{
	const struct profile *p = r->p;
	jsonw_object(w, NULL);
	jsonw_array(w, "values");
	for (uint32_t t = 0; t < p->n_types; t++)
		jsonw_i64(w, NULL, p->value[t].data[row]);
	jsonw_end(w, ']');
	jsonw_array(w, "stack");
	for (struct node_id node = p->node.data[row]; node.v; node = locations_caller(&r->locations, node))
		jsonw_u64(w, NULL, location_number(r, node));
	jsonw_end(w, ']');
	json_labels(r, w, p->labels.data[row]);
	jsonw_end(w, '}');
}

static void json_location(const struct raw *r, struct jsonw *w, uint32_t number)
{
	const struct chain *chain = &r->locations.chains.data[r->used.data[number - 1]];
	const struct frame *f = &r->p->dict.frames.data[chain->frame.v];
	jsonw_object(w, NULL);
	jsonw_u64(w, "id", number);
	json_hex(w, "address", f->address);
	jsonw_u64(w, "mapping", f->mapping.v);
	jsonw_bool(w, "folded", f->flags & FRAME_IS_FOLDED);
	jsonw_array(w, "lines");
	for (uint32_t c = r->used.data[number - 1]; c; c = chain->into) {
		chain = &r->locations.chains.data[c];
		f = &r->p->dict.frames.data[chain->frame.v];
		const struct function *fn = &r->p->dict.functions.data[f->function.v];
		jsonw_object(w, NULL);
		json_word(r, w, "name", fn->name);
		json_word(r, w, "system_name", fn->system_name);
		json_word(r, w, "file", fn->file);
		jsonw_u64(w, "line", f->line);
		jsonw_u64(w, "column", f->column);
		jsonw_u64(w, "start_line", fn->start_line);
		jsonw_end(w, '}');
	}
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

static void json_mapping(const struct raw *r, struct jsonw *w, uint32_t id)
{
	const struct mapping *m = &r->p->dict.mappings.data[id];
	jsonw_object(w, NULL);
	jsonw_u64(w, "id", id);
	json_hex(w, "start", m->start);
	json_hex(w, "limit", m->limit);
	json_hex(w, "offset", m->offset);
	json_word(r, w, "file", m->path);
	json_word(r, w, "build_id", m->build_id);
	jsonw_bool(w, "has_functions", m->flags & MAPPING_HAS_FUNCTIONS);
	jsonw_bool(w, "has_filenames", m->flags & MAPPING_HAS_FILENAMES);
	jsonw_bool(w, "has_lines", m->flags & MAPPING_HAS_LINES);
	jsonw_bool(w, "has_inlines", m->flags & MAPPING_HAS_INLINES);
	jsonw_end(w, '}');
}

static void raw_json(struct raw *r)
{
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	json_head(r, &w);
	jsonw_array(&w, "samples");
	for (uint32_t i = 0; i < profile_n_samples(r->p); i++) {
		json_sample(r, &w, i);
		report_json_flush(&w, false);
	}
	jsonw_end(&w, ']');
	jsonw_array(&w, "locations");
	for (uint32_t i = 1; i <= r->used.n; i++) {
		json_location(r, &w, i);
		report_json_flush(&w, false);
	}
	jsonw_end(&w, ']');
	jsonw_array(&w, "mappings");
	for (uint32_t i = 1; i < r->p->dict.mappings.n; i++)
		json_mapping(r, &w, i);
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	buf_add_byte(&out, '\n');
	report_json_flush(&w, true);
}

int report_raw(const struct profile *p, bool json)
{
	_cleanup_(raw_done)
	struct raw r;
	int k = raw_init(&r, p);
	if (k < 0)
		return k;
	if (json)
		raw_json(&r);
	else
		raw_text(&r);
	return 0;
}
