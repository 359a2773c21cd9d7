/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/parcel.h"

#include "format/otlp.h"
#include "format/pprof.h"

#include <errno.h>
#include <string.h>

#define PROFILE_MAX_SIZE ((size_t)64 << 20)

struct parcel *parcel_new(struct slice key, struct slice target, uint8_t *data, size_t size)
{
	_cleanup_(parcel_free)
	struct parcel *p = calloc(1, sizeof(*p));
	if (!p || key.size >= sizeof(p->key) || target.size > PARCEL_TARGET_MAX)
		return NULL;
	p->target = strndup((const char *)target.data, target.size);
	if (!p->target)
		return NULL;
	memcpy(p->key, key.data, key.size);
	p->data = data;
	p->size = size;
	return take_ptr(p);
}

void parcel_free(struct parcel **p)
{
	if (!*p)
		return;
	free((*p)->target);
	free((*p)->data);
	free(*p);
	*p = NULL;
}

/* What the target says of the series. */
static int drop_resource(struct profile *p)
{
	static const char *const names[] = { "service", "container", "host", "region", "zone" };
	_cleanup_(free_ptr)
	bool *drop = calloc((size_t)p->label.n + 1, sizeof(*drop));
	if (!drop)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->label.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(names); k++)
			drop[i] |= slice_eq(strtab_get(&p->dict.strings, p->label.data[i].key), slice_str(names[k]));
	return profile_drop_labels(p, drop);
}

int parcel_to_pprof(const struct parcel *parcel, struct buf *out)
{
	struct membudget budget = membudget_of(PROFILE_MAX_SIZE);
	_cleanup_(profile_done)
	struct profile p;
	int r = profile_init(&p, &budget);
	if (r == 0)
		r = otlp_decode(slice_of(parcel->data, parcel->size), &format_limits_default, &p, NULL);
	if (r == 0)
		r = drop_resource(&p);
	return r < 0 ? r : pprof_encode_gz(&p, out);
}
