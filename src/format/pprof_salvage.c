/* SPDX-License-Identifier: Apache-2.0 */
/* Most producers write strings last, functions and locations before them: of
 * half a file the samples are there, and some of what they refer to is not.
 * A sample without its stack is left out, as its time would show at a wrong
 * place; a frame without its name is still an address. */
#include "format/pprof.h"
#include "format/pprof_decoder.h"

#include <inttypes.h>
#include <stdarg.h>

#define MIN_STRINGS 3 /* the empty one, a sample type, its unit */

static void add(struct error *to, const char *fmt, ...) printf_like(2, 3);

static void add(struct error *to, const char *fmt, ...)
{
	size_t n = strlen(to->text);
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(to->text + n, sizeof(to->text) - n, fmt, ap);
	va_end(ap);
}

static bool is_lossy(const struct pprof_decoder *d)
{
	const struct pprof_lost *l = &d->lost;
	return d->is_cut || l->samples || l->frames || l->labels || l->mappings || l->strings ||
	       d->salvage->loss.text[0];
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

/* "ends in the middle of string 12, at byte 2000"; of compressed input it is
 * known already where that ends. */
static void say_end(const struct pprof_decoder *d, struct error *to)
{
	bool is_compressed = to->text[0];
	if (d->is_cut) {
		add(to, "%s in the middle of ", is_compressed ? "," : "ends");
		if (d->cut_name)
			add(to, "%s %" PRIu64, d->cut_name, d->cut_row);
		else
			add(to, "a field");
	}
	if (!is_compressed)
		add(to, d->is_cut ? ", at byte %zu" : "ends at byte %zu, before what it refers to", d->bytes.size);
}

int pprof_fail_salvage(struct pprof_decoder *d, const char *missing)
{
	struct error why = d->salvage->loss;
	say_end(d, &why);
	return error_set(d->err, -ENODATA, "%s: nothing can be kept without its %s", why.text, missing);
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
	struct error *loss = &d->salvage->loss;
	if (!is_lossy(d))
		return 0;
	if (profile_n_samples(d->p) == 0)
		return pprof_fail_salvage(d, "locations");
	say_end(d, loss);
	add(loss, "; %" PRIu32 " samples kept", profile_n_samples(d->p));
	if (l->samples)
		add(loss, ", %" PRIu64 " without their stack left out", l->samples);
	const struct {
		const char *what;
		uint64_t n;
	} parts[] = {
		{ "frame names", l->frames },
		{ "labels", l->labels },
		{ "mappings", l->mappings },
		{ "other strings", l->strings },
	};
	bool is_first = true;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i].n) {
			add(loss, "%s %" PRIu64 " %s", is_first ? "; lost:" : ",", parts[i].n, parts[i].what);
			is_first = false;
		}
	return 0;
}

bool pprof_is_salvageable(struct slice half)
{
	struct pb_reader r = pb_reader_of(half);
	struct pb_field f;
	uint32_t n_strings = 0;
	bool has[N_PROFILE_FIELDS] = { false };
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		n_strings += f.number == PROFILE_STRING_TABLE && n_strings < MIN_STRINGS;
		if (f.number < N_PROFILE_FIELDS)
			has[f.number] = true;
	}
	return k != -EBADMSG && n_strings == MIN_STRINGS && has[PROFILE_SAMPLE_TYPE] && has[PROFILE_SAMPLE] &&
	       has[PROFILE_LOCATION];
}
