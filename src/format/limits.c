/* SPDX-License-Identifier: Apache-2.0 */
#include "format/limits.h"

const struct format_limits format_limits_default = {
	.input_size = (size_t)1 << 30,
	.inflated_size = (size_t)1 << 30,
	.ratio = 200,
	.n_samples = 64u << 20,
	.n_locations = 16u << 20,
	.n_strings = 16u << 20,
	.n_comments = 4096,
	.n_labels = 64,
	.depth = 16384,
};
