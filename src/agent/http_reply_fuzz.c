/* SPDX-License-Identifier: Apache-2.0 */
/* An answer in pieces of any size. */
#include "agent/http_reply.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply_parser whole, pieces;
	reply_init(&whole);
	reply_init(&pieces);
	int r = reply_feed(&whole, slice_of(data, size)), s = 0;
	for (size_t i = 0; i < size && s == 0; i++)
		s = reply_feed(&pieces, slice_of(data + i, 1));
	assert(r == s && (r < 0 || (whole.state == pieces.state && whole.reply.status == pieces.reply.status)));
	return 0;
}
