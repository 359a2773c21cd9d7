/* SPDX-License-Identifier: Apache-2.0 */
/* salvage.h: half a file is better than none, if that is said.
 *
 * A decoder that is given one of these keeps what stands before the end of a
 * truncated input instead of failing with -ENODATA, and tells here what is
 * missing. NULL: a truncated input is an error. */
#pragma once

#include "base/error.h"

struct salvage {
	struct error loss; /* one phrase; "" = nothing is missing */
};
