/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/shipper.h"

#include "format/pprof.h"

#include <errno.h>

#define PROFILE_MAX_SIZE ((size_t)64 << 20)
#define BODY_MAX_SIZE	 ((size_t)4 << 20)
#define MS		 1000000

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
	return r < 0 ? r : pprof_encode_gz(&p, out);
}

int shipper_series(void *arg, const struct window *w, uint32_t series, const struct window_info *info)
{
	struct shipper *s = arg;
	_cleanup_(buf_done)
	struct buf out = buf_of(BODY_MAX_SIZE);
	int r = encode(s, w, series, info, &out);
	if (r < 0)
		return r;
	const struct window_series *row = &w->series.data[series];
	struct upload_series u = {
		.service = strtab_get(&w->strings, row->service),
		.container = strtab_get(&w->strings, row->container),
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

void shipper_report_lost(struct shipper *s)
{
	uint64_t lost = upload_stats(s->upload).n_samples_lost;
	recorder_add_lost(s->recorder, LOSS_upload_dropped, lost - s->n_samples_lost);
	s->n_samples_lost = lost;
}
