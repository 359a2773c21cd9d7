/* SPDX-License-Identifier: Apache-2.0 */
/* Where half a request ends, messages are open inside each other:
 *
 *   request [ resource_profiles [ scope_profiles [ profiles [ sample, sample, sam
 *
 * It is made a whole one that ends with the last whole row: each of those
 * messages with what is there of it. What rows refer to then may be missing:
 * most producers write the dictionary last, and of that the stacks. */
#include "format/otlp.h"
#include "format/otlp_decoder.h"

enum level { IN_REQUEST, IN_RESOURCE, IN_SCOPE, IN_PROFILE, IN_DICTIONARY, N_LEVELS };

#define MAX_OPEN 4

/* A message that is open at the end: its whole fields, and the field that
 * holds the next open one. */
struct open_message {
	struct slice whole;
	uint32_t field;
	uint64_t size; /* of what it becomes */
};

/* What is in a field of a message of that level, N_LEVELS: a row. */
static enum level level_inside(enum level level, uint32_t field)
{
	if (level == IN_REQUEST && field == OTLP_DICTIONARY)
		return IN_DICTIONARY;
	if (level == IN_REQUEST && field == OTLP_RESOURCE_PROFILES)
		return IN_RESOURCE;
	if (level == IN_RESOURCE && field == RESOURCE_PROFILES_SCOPE_PROFILES)
		return IN_SCOPE;
	if (level == IN_SCOPE && field == SCOPE_PROFILES_PROFILES)
		return IN_PROFILE;
	return N_LEVELS;
}

static uint32_t varint_size(uint64_t v)
{
	uint32_t n = 1;
	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* Finds the messages that are open at the end, the outermost first. Their
 * number, 0 when there are none, or -EBADMSG. */
static int find_open(struct slice bytes, struct open_message open[static MAX_OPEN], enum level *ret_level)
{
	enum level level = IN_REQUEST;
	for (int n = 0;; n++) {
		struct pb_reader r = pb_reader_of(bytes);
		struct pb_field f = { 0 };
		int k;
		while ((k = pb_next(&r, &f)) > 0)
			;
		if (k == -EBADMSG || (k == 0 && n == 0))
			return k;
		open[n].whole = k == 0 ? bytes : slice_of(bytes.data, (size_t)(f.at - bytes.data));
		open[n].field = f.number;
		*ret_level = level;
		level = k < 0 && pb_rest(&r, &f, &bytes) ? level_inside(level, f.number) : N_LEVELS;
		if (level == N_LEVELS)
			return n + 1;
	}
}

static bool holds_messages(struct slice whole)
{
	struct pb_reader r = pb_reader_of(whole);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0)
		if (f.wire != PB_BYTES || f.number > RESOURCE_PROFILES_SCHEMA_URL)
			return false;
	return k == 0;
}

/* Cut in a profile, or where the scope's ends: bytes of other kinds do not
 * open three messages by chance. */
bool otlp_looks_half(struct slice bytes)
{
	struct open_message open[MAX_OPEN];
	enum level level;
	int n = find_open(bytes, open, &level);
	return n >= 3 && holds_messages(open[0].whole) && holds_messages(open[1].whole) &&
	       holds_messages(open[2].whole);
}

int otlp_mend(struct slice bytes, struct salvage *salvage, struct buf *out, struct slice *ret)
{
	static const char *const names[] = { [IN_REQUEST] = "a field",
					     [IN_RESOURCE] = "a resource",
					     [IN_SCOPE] = "a scope",
					     [IN_PROFILE] = "a profile",
					     [IN_DICTIONARY] = "its dictionary" };
	struct open_message open[MAX_OPEN];
	enum level level = IN_REQUEST;
	int n = find_open(bytes, open, &level);
	*ret = bytes;
	if (n <= 0)
		return 0; /* what is malformed the decoder says */
	salvage_end(salvage, bytes.size, "%s", names[level]);
	for (int i = n; i-- > 0;) {
		open[i].size = open[i].whole.size;
		if (i + 1 < n)
			open[i].size += 1 + varint_size(open[i + 1].size) + open[i + 1].size;
	}
	for (int i = 0; i < n; i++) {
		buf_add(out, open[i].whole.data, open[i].whole.size);
		if (i + 1 < n) {
			pb_put_key(out, open[i].field, PB_BYTES);
			pb_put_varint(out, open[i + 1].size);
		}
	}
	*ret = slice_of(out->data, out->n);
	return out->failed ? -ENOMEM : 0;
}

void otlp_end_salvage(struct otlp_decoder *d)
{
	struct salvage *s = d->salvage;
	salvage_lose(s, d->lost.samples, "samples, whose stacks are not there");
	salvage_lose(s, d->lost.names, "function names");
	salvage_lose(s, d->lost.labels, "sets of labels");
	salvage_lose(s, d->lost.mappings, "mappings");
	salvage_lose(s, d->lost.strings, "other strings");
}
