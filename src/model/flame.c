/* SPDX-License-Identifier: Apache-2.0 */
#include "model/flame.h"

#include <errno.h>

int flame_layout(const struct calltree *t, uint32_t root, double width, double min_width, struct flame *ret)
{
	uint32_t max_depth = 0;
	for (uint32_t i = root; i < t->end[root]; i++)
		if (t->depth[i] > max_depth)
			max_depth = t->depth[i];
	/* cursor[d]: where the next box of depth d begins. */
	_cleanup_(free_ptr)
	double *cursor = calloc((size_t)max_depth + 2, sizeof(*cursor));
	_cleanup_(flame_done)
	struct flame f = { 0 };
	f.boxes = malloc((size_t)(t->end[root] - root) * sizeof(*f.boxes));
	if (!cursor || !f.boxes)
		return -ENOMEM;
	double scale = t->total[root] > 0 ? width / (double)t->total[root] : 0;
	for (uint32_t i = root; i < t->end[root];) {
		uint32_t depth = t->depth[i];
		double w = i == root ? width : (double)t->total[i] * scale;
		if (i != root && w < min_width) {
			/* The siblings behind it are no wider. */
			f.n_left_out += t->end[t->parent[i]] - i;
			i = t->end[t->parent[i]];
			continue;
		}
		f.boxes[f.n++] = (struct flame_box){ i, depth - t->depth[root], cursor[depth], w };
		if (depth - t->depth[root] > f.max_depth)
			f.max_depth = depth - t->depth[root];
		cursor[depth + 1] = cursor[depth];
		cursor[depth] += w;
		i++;
	}
	*ret = f;
	f = (struct flame){ 0 };
	return 0;
}

void flame_done(struct flame *f)
{
	free(f->boxes);
	*f = (struct flame){ 0 };
}
