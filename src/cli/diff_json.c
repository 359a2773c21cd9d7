/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonw.h"
#include "cli/diff_view.h"

#include <stdio.h>

#define DETECT_DEFAULT 0.05
#define FLUSH_AT       ((size_t)1 << 20)

static const char *const family_names[] = { "functions_self", "functions_total", "nodes_self", "nodes_total" };

static void flush(struct jsonw *w, size_t at)
{
	if (w->out->n < at)
		return;
	(void)fwrite(w->out->data, 1, w->out->n, stdout);
	w->out->n = 0;
}

static void put_side(struct jsonw *w, const char *key, const struct diff_side_sum *s)
{
	jsonw_object(w, key);
	jsonw_u64(w, "windows", s->n_windows);
	jsonw_i64(w, "value", s->whole);
	if (s->samples > 0)
		jsonw_f64(w, "samples", s->samples);
	if (s->seconds > 0)
		jsonw_f64(w, "seconds", s->seconds);
	jsonw_end(w, '}');
}

static void put_item(struct jsonw *w, const char *key, const struct diff_view *v, enum diff_family f, uint32_t i)
{
	const struct diff_item *item = &v->diff->item[f][i];
	struct diff_result r = diff_result(v->diff, f, i, v->detect > 0 ? v->detect : DETECT_DEFAULT);
	jsonw_object(w, key);
	jsonw_i64(w, "a", item->value[DIFF_A]);
	jsonw_i64(w, "b", item->value[DIFF_B]);
	jsonw_f64(w, "share_a", r.share[DIFF_A]);
	jsonw_f64(w, "share_b", r.share[DIFF_B]);
	jsonw_f64(w, "delta", r.delta);
	if (r.is_new || r.is_gone)
		jsonw_bool(w, r.is_new ? "new" : "gone", true);
	if (r.has_interval) {
		jsonw_f64(w, "low", r.interval.low);
		jsonw_f64(w, "high", r.interval.high);
		jsonw_f64(w, "p", r.p);
		jsonw_f64(w, "phi", r.phi);
		jsonw_bool(w, "significant", r.is_significant);
		if (r.zero_bound > 0)
			jsonw_f64(w, "zero_bound", r.zero_bound);
		if (r.needed > 0)
			jsonw_f64(w, "needed", r.needed);
	}
	jsonw_end(w, '}');
}

static void put_head(struct jsonw *w, const struct diff_view *v)
{
	const struct diff *d = v->diff;
	jsonw_cstr(w, "type", v->type);
	jsonw_cstr(w, "unit", v->unit);
	put_side(w, "a", &d->side[DIFF_A]);
	put_side(w, "b", &d->side[DIFF_B]);
	jsonw_bool(w, "has_intervals", d->has_samples);
	if (!d->has_samples)
		return;
	jsonw_f64(w, "confidence", 0.95);
	jsonw_f64(w, "false_discovery_rate", 0.05);
	jsonw_f64(w, "detect", v->detect > 0 ? v->detect : DETECT_DEFAULT);
	jsonw_object(w, "dispersion");
	jsonw_bool(w, "assumed", !(d->df > 0));
	jsonw_f64(w, "df", d->df);
	jsonw_f64(w, "pooled_phi", d->pooled_phi);
	jsonw_end(w, '}');
	for (int what = 0; what < 2; what++) {
		jsonw_object(w, what ? "significant" : "tested");
		for (int f = 0; f < DIFF_N_FAMILIES; f++)
			jsonw_u64(w, family_names[f], what ? d->n_significant[f] : d->n_tested[f]);
		jsonw_end(w, '}');
	}
}

void diff_json(const struct diff_view *v)
{
	const struct calltree *t = &v->diff->tree;
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	put_head(&w, v);
	jsonw_array(&w, "functions");
	for (uint32_t i = 0; i < t->n_funcs; i++) {
		jsonw_object(&w, NULL);
		jsonw_str(&w, "name", strtab_get(&t->names, t->funcs[i].name));
		jsonw_str(&w, "file", strtab_get(&t->names, t->funcs[i].file));
		jsonw_str(&w, "module", strtab_get(&t->names, t->funcs[i].module));
		put_item(&w, "self", v, DIFF_FUNC_SELF, i);
		put_item(&w, "total", v, DIFF_FUNC_TOTAL, i);
		jsonw_end(&w, '}');
		flush(&w, FLUSH_AT);
	}
	jsonw_end(&w, ']');
	jsonw_array(&w, "nodes");
	for (uint32_t i = 0; i < t->n; i++) {
		jsonw_object(&w, NULL);
		jsonw_u64(&w, "parent", t->parent[i]);
		jsonw_u64(&w, "function", t->func[i]);
		put_item(&w, "self", v, DIFF_NODE_SELF, i);
		put_item(&w, "total", v, DIFF_NODE_TOTAL, i);
		jsonw_end(&w, '}');
		flush(&w, FLUSH_AT);
	}
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	buf_add_byte(&out, '\n');
	flush(&w, 0);
}
