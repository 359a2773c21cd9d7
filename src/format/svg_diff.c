/* SPDX-License-Identifier: Apache-2.0 */
#include "format/svg_diff.h"

/* From "hardly changed" to "new" or "gone"; dark text is readable on all. */
struct ramp {
	uint8_t pale[3], strong[3];
};

static const struct ramp more = { { 0xfd, 0xe4, 0xc8 }, { 0xf0, 0x8a, 0x24 } };
static const struct ramp less = { { 0xdc, 0xe9, 0xf5 }, { 0x6a, 0xa5, 0xdb } };
#define GREY "#dedcd7"

static void put_ramp(struct buf *out, const struct ramp *ramp, double at)
{
	buf_add_byte(out, '#');
	for (int i = 0; i < 3; i++)
		buf_printf(out, "%02x", (unsigned)(ramp->pale[i] + at * (ramp->strong[i] - ramp->pale[i]) + 0.5));
}

/* Part of the larger share that changed, in [-1, 1]; 1 = new. */
static double change_of(const struct diff_result *r)
{
	double larger = r->share[0] > r->share[1] ? r->share[0] : r->share[1];
	return larger > 0 ? r->delta / larger : 0;
}

void svg_diff_put_colour(struct buf *out, const struct diff *d, uint32_t node)
{
	struct diff_result r = diff_result(d, DIFF_NODE_TOTAL, node, 0);
	double change = change_of(&r);
	if (node == 0 || change == 0 || (r.has_interval && !r.is_significant))
		buf_add_str(out, GREY);
	else
		put_ramp(out, change > 0 ? &more : &less, change > 0 ? change : -change);
}

void svg_diff_put_gone_colour(struct buf *out, const struct diff *d, uint32_t node)
{
	buf_add_str(out, d->item[DIFF_NODE_TOTAL][node].value[DIFF_B] == 0 ? "url(#gone)" : GREY);
}

void svg_diff_put_facts(struct buf *out, const struct diff *d, uint32_t node)
{
	struct diff_result r = diff_result(d, DIFF_NODE_TOTAL, node, 0);
	buf_printf(out, " (A %.2f %%, B %.2f %%, %+.2f points", 100 * r.share[0], 100 * r.share[1], 100 * r.delta);
	if (r.has_interval && node)
		buf_printf(out, ", 95 %% %+.2f to %+.2f, %s", 100 * r.interval.low, 100 * r.interval.high,
			   r.is_significant ? "significant" : "not significant");
	if (r.is_new || r.is_gone)
		buf_add_str(out, r.is_new ? ", new" : ", gone");
	buf_add_byte(out, ')');
}

void svg_diff_put_legend(struct buf *out, const struct diff *d, double right)
{
	static const struct {
		const char *text, *fill;
		double width;
	} keys[] = {
		{ "more in B", "#f6b573", 95 },
		{ "less in B", "#a3c7e8", 95 },
		{ "not significant", GREY, 138 },
		{ "gone", "url(#gone)", 60 },
	};
	buf_add_str(out, "<defs><pattern id=\"gone\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
			 "patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#dce9f5\"/>"
			 "<rect width=\"2\" height=\"6\" fill=\"#a3c7e8\"/></pattern></defs>\n");
	double x = right - (95 + 95 + 138 + 60);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].width > 100 && !d->has_samples)
			continue;
		buf_printf(out,
			   "<rect x=\"%.1f\" y=\"29\" width=\"12\" height=\"12\" fill=\"%s\"/>"
			   "<text x=\"%.1f\" y=\"39\" fill=\"#595959\">%s</text>\n",
			   x, keys[i].fill, x + 16, keys[i].text);
		x += keys[i].width;
	}
	buf_printf(out, "<text x=\"10\" y=\"56\" fill=\"#595959\">width: share of B</text>\n");
}
