/* SPDX-License-Identifier: Apache-2.0 */
/* An answer in pieces of any size. */
#include "agent/http_reply.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(buf_done)
	struct buf body = buf_of(1 << 16), same = buf_of(1 << 16);
	struct reply_parser whole, pieces;
	reply_init(&whole, &body);
	reply_init(&pieces, &same);
	int r = reply_feed(&whole, slice_of(data, size)), s = 0;
	for (size_t i = 0; i < size && s == 0; i++)
		s = reply_feed(&pieces, slice_of(data + i, 1));
	assert(r == s && (r < 0 || (whole.state == pieces.state && whole.reply.status == pieces.reply.status &&
				    slice_eq(slice_of(body.data, body.n), slice_of(same.data, same.n)))));
	return 0;
}
