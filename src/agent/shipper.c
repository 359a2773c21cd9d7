/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shipper.h"

#include "format/inflate.h"
#include "format/otlp.h"

#include <errno.h>

#define PROFILE_MAX_SIZE ((size_t)64 << 20)
#define BODY_MAX_SIZE	 ((size_t)4 << 20)
#define MS		 1000000
#define ZSTD_LEVEL	 3
#define OWN_SERVICE	 "wick-agent"

/* As the request that it is sent as. */
static int encode_request(const struct shipper *s, const struct profile *p, struct slice service,
			  struct slice container, struct buf *out)
{
	const struct otlp_text resource[] = {
		{ "service.name", service },
		{ "container.name", container },
		{ "host.name", slice_str(s->labels.host) },
		{ "cloud.region", slice_str(s->labels.region) },
		{ "cloud.availability_zone", slice_str(s->labels.zone) },
	};
	_cleanup_(buf_done)
	struct buf plain = buf_of(PROFILE_MAX_SIZE);
	int r = otlp_encode_resource(p, resource, ARRAY_SIZE(resource), &plain);
	return r < 0 ? r : zstd_compress(slice_of(plain.data, plain.n), ZSTD_LEVEL, out);
}

static int encode(struct shipper *s, const struct window *w, uint32_t series, const struct window_info *info,
		  struct buf *out)
{
	struct membudget budget = membudget_of(PROFILE_MAX_SIZE);
	_cleanup_(profile_done)
	struct profile p;
	_cleanup_(buf_done)
	struct buf comment = buf_of(4096);
	int r = profile_init(&p, &budget);
	if (r < 0)
		return r;
	window_info_format(info, &comment);
	r = recorder_profile(s->recorder, w, series, &p);
	if (r == 0)
		r = comment.failed ? -ENOMEM : profile_add_comment(&p, slice_of(comment.data, comment.n));
	const struct window_series *row = &w->series.data[series];
	return r < 0 ? r
		     : encode_request(s, &p, strtab_get(&w->strings, row->service),
				      strtab_get(&w->strings, row->container), out);
}

int shipper_series(struct shipper *s, const struct window *w, uint32_t series, const struct window_info *info)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(BODY_MAX_SIZE);
	int r = encode(s, w, series, info, &out);
	if (r < 0)
		return r;
	const struct window_series *row = &w->series.data[series];
	struct upload_series u = {
		.service = strtab_get(&w->strings, row->service),
		.container = strtab_get(&w->strings, row->container),
		.type = "cpu:nanoseconds",
		.window = w->number,
		.start_ms = w->start_ns / MS,
		.end_ms = w->end_ns / MS,
		.n_samples = row->n_samples,
	};
	size_t size;
	uint8_t *data = buf_take(&out, &size);
	/* What it does not take it counts itself. */
	if (upload_add(s->upload, &u, data, size) < 0)
		shipper_report_lost(s);
	return 0;
}

static int add_cost(struct profile *p, const char *leaf, uint64_t ns)
{
	struct frame_id root, part;
	struct node_id node;
	struct labels_id labels;
	int64_t value = (int64_t)ns;
	int r = ns ? dict_named_frame(&p->dict, slice_str("wick-agent"), FRAME_SYNTHETIC, &root) : 0;
	if (r < 0 || ns == 0)
		return r;
	r = dict_named_frame(&p->dict, slice_str(leaf), FRAME_SYNTHETIC, &part);
	if (r == 0)
		r = dict_node(&p->dict, (struct node_id){ 0 }, root, &node);
	if (r == 0)
		r = dict_node(&p->dict, node, part, &node);
	if (r == 0)
		r = profile_labels(p, NULL, 0, &labels);
	return r < 0 ? r : profile_add_sample(p, node, labels, &value);
}

static int encode_cost(const struct shipper *s, const struct window *w, const struct cost *from, const struct cost *to,
		       struct buf *out)
{
	_cleanup_(profile_done)
	struct profile p;
	int r = profile_init(&p, NULL);
	if (r < 0)
		return r;
	uint64_t tables = to->tables_ns - from->tables_ns, user = to->user_ns - from->user_ns;
	p.time_ns = w->start_ns;
	p.duration_ns = w->end_ns - w->start_ns;
	r = profile_add_type(&p, slice_str("agent_cpu"), slice_str("nanoseconds"));
	if (r == 0)
		r = add_cost(&p, "[in the kernel: taking samples]", to->bpf_ns - from->bpf_ns);
	if (r == 0)
		r = add_cost(&p, "[building unwind tables]", tables);
	if (r == 0)
		r = add_cost(&p, "[naming, encoding, sending]", user > tables ? user - tables : 0);
	return r < 0 ? r : encode_request(s, &p, slice_str(OWN_SERVICE), slice_str(""), out);
}

void shipper_cost(struct shipper *s, const struct window *w, const struct cost *from, const struct cost *to)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(BODY_MAX_SIZE);
	if (encode_cost(s, w, from, to, &out) < 0)
		return;
	struct upload_series u = {
		.service = slice_str(OWN_SERVICE),
		.container = slice_str(""),
		.type = "agent_cpu:nanoseconds",
		.window = w->number,
		.start_ms = w->start_ns / MS,
		.end_ms = w->end_ns / MS,
	};
	size_t size;
	uint8_t *data = buf_take(&out, &size);
	/* It holds no sample that could be missed. */
	(void)!upload_add(s->upload, &u, data, size);
}

void shipper_report_lost(struct shipper *s)
{
	if (!s->recorder)
		return;
	uint64_t lost = upload_stats(s->upload).n_samples_lost;
	recorder_add_lost(s->recorder, LOSS_upload_dropped, lost - s->n_samples_lost);
	s->n_samples_lost = lost;
}
