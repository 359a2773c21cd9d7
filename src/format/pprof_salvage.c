/* SPDX-License-Identifier: Apache-2.0 */
/* Most producers write strings last, functions and locations before them: of
 * half a file the samples are there, and some of what they refer to is not.
 * A sample without its stack is left out, as its time would show at a wrong
 * place; a frame without its name is still an address. */
#include "format/pprof.h"
#include "format/pprof_decoder.h"

#include <inttypes.h>

static bool is_lossy(const struct pprof_decoder *d)
{
	const struct pprof_lost *l = &d->lost;
	return d->is_cut || l->samples || l->frames || l->labels || l->mappings || l->strings ||
	       salvage_is_half(d->salvage);
}

void pprof_note_cut(struct pprof_decoder *d, const struct pb_reader *r, const struct pb_field *f)
{
	static const char *const names[N_PROFILE_FIELDS] = {
		[PROFILE_SAMPLE_TYPE] = "sample_type", [PROFILE_SAMPLE] = "sample",	[PROFILE_MAPPING] = "mapping",
		[PROFILE_LOCATION] = "location",       [PROFILE_FUNCTION] = "function",
	};
	d->is_cut = true;
	d->cut_row = 0;
	/* Within the key, `f` is still the field before. */
	if (r->at == f->at || f->number >= N_PROFILE_FIELDS)
		return;
	if (f->number == PROFILE_STRING_TABLE) {
		d->cut_name = "string";
		d->cut_row = d->strings.n;
	} else if (names[f->number]) {
		d->cut_name = names[f->number];
		d->cut_row = UINT64_C(1) + d->sections[f->number].n;
	}
}

/* Of compressed input it is known already where that ends. */
static void say_end(const struct pprof_decoder *d)
{
	struct salvage *s = d->salvage;
	if (d->is_cut && d->cut_name)
		salvage_end(s, d->bytes.size, "%s %" PRIu64, d->cut_name, d->cut_row);
	else if (d->is_cut)
		salvage_end(s, d->bytes.size, "a field");
	else if (!salvage_is_half(s))
		(void)error_set(&s->end, 0, "ends at byte %zu, before what it refers to", d->bytes.size);
}

int pprof_fail_salvage(struct pprof_decoder *d, const char *missing)
{
	say_end(d);
	return error_set(d->err, -ENODATA, "its %s are missing", missing);
}

int pprof_check_salvage(struct pprof_decoder *d)
{
	const char *missing = d->strings.n == 0				? "strings"
			      : d->sections[PROFILE_SAMPLE_TYPE].n == 0 ? "sample types"
			      : d->sections[PROFILE_SAMPLE].n == 0	? "samples"
									: NULL;
	return missing && (is_lossy(d) || d->sections[PROFILE_SAMPLE].n) ? pprof_fail_salvage(d, missing) : 0;
}

int pprof_end_salvage(struct pprof_decoder *d)
{
	const struct pprof_lost *l = &d->lost;
	if (!is_lossy(d))
		return 0;
	if (profile_n_samples(d->p) == 0)
		return pprof_fail_salvage(d, "locations");
	say_end(d);
	salvage_lose(d->salvage, l->samples, "samples, whose stacks are not there");
	salvage_lose(d->salvage, l->frames, "frame names");
	salvage_lose(d->salvage, l->labels, "labels");
	salvage_lose(d->salvage, l->mappings, "mappings");
	salvage_lose(d->salvage, l->strings, "other strings");
	return 0;
}
