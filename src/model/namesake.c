/* SPDX-License-Identifier: Apache-2.0 */
#include "model/namesake.h"

#include <errno.h>
#include <string.h>

/* A function that shares its name with others of the tree. */
struct candidate {
	uint32_t func, name;
	uint32_t line, line_file; /* by lines: of other lines it is no namesake */
	struct slice module;	  /* basename */
	uint32_t file;
	bool has_module; /* which no other of the name has */
};

static struct slice basename_of(struct slice path)
{
	const uint8_t *slash = path.size ? memrchr(path.data, '/', path.size) : NULL;
	return slash ? slice_of(slash + 1, (size_t)(path.data + path.size - slash - 1)) : path;
}

struct slice namesake_text(const struct calltree *t, uint32_t func, enum namesake n)
{
	const struct tree_func *f = &t->funcs[func];
	if (n == NAMESAKE_MODULE)
		return basename_of(strtab_get(&t->names, f->module));
	return n == NAMESAKE_FILE ? strtab_get(&t->names, f->file) : slice_of("", 0);
}

static int compare_slice(struct slice a, struct slice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n ? memcmp(a.data, b.data, n) : 0;
	return c ? c : (a.size > b.size) - (a.size < b.size);
}

static int compare_group(const struct candidate *x, const struct candidate *y)
{
	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->line_file < y->line_file ? -1 : x->line_file > y->line_file;
}

static int by_module(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int c = compare_group(x, y);
	return c ? c : compare_slice(x->module, y->module);
}

/* The functions with nodes whose name another has; *ret_n may be 0. */
static int collect(const struct calltree *t, struct candidate **ret, uint32_t *ret_n)
{
	_cleanup_(free_ptr)
	bool *present = calloc(t->n_funcs, sizeof(*present));
	_cleanup_(free_ptr)
	uint32_t *count = calloc(strtab_count(&t->names), sizeof(*count));
	if (!present || !count)
		return -ENOMEM;
	uint32_t n = 0;
	for (uint32_t i = 1; i < t->n; i++) {
		uint32_t f = t->func[i];
		if (f == TREE_FUNC_PRUNED || present[f])
			continue;
		present[f] = true;
		n += ++count[t->funcs[f].name.v] == 2 ? 2 : count[t->funcs[f].name.v] > 2;
	}
	struct candidate *all = n ? calloc(n, sizeof(*all)) : NULL;
	if (n && !all)
		return -ENOMEM;
	n = 0;
	for (uint32_t f = 1; f < t->n_funcs; f++) {
		const struct tree_func *fn = &t->funcs[f];
		if (!present[f] || count[fn->name.v] < 2)
			continue;
		all[n++] = (struct candidate){ .func = f,
					       .name = fn->name.v,
					       .line = fn->line,
					       .line_file = fn->line ? fn->file.v : 0,
					       .module = basename_of(strtab_get(&t->names, fn->module)),
					       .file = fn->file.v };
	}
	*ret = all;
	*ret_n = n;
	return 0;
}

/* Sorted by module: which of a name have one that is theirs alone. */
static void find_modules(struct candidate *all, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool is_before = i > 0 && by_module(&all[i - 1], &all[i]) == 0;
		bool is_behind = i + 1 < n && by_module(&all[i], &all[i + 1]) == 0;
		all[i].has_module = all[i].module.size && !is_before && !is_behind;
	}
}

static bool is_alone(const struct candidate *all, uint32_t n, uint32_t i)
{
	return (i == 0 || compare_group(&all[i - 1], &all[i]) != 0) &&
	       (i + 1 == n || compare_group(&all[i], &all[i + 1]) != 0);
}

int namesakes_find(const struct calltree *t, uint8_t **ret)
{
	_cleanup_(free_ptr)
	struct candidate *all = NULL;
	uint32_t n = 0;
	*ret = NULL;
	int r = collect(t, &all, &n);
	if (r < 0 || n == 0)
		return r;
	uint8_t *found = calloc(t->n_funcs, sizeof(*found));
	if (!found)
		return -ENOMEM;
	qsort(all, n, sizeof(*all), by_module);
	find_modules(all, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct candidate *c = &all[i];
		if (is_alone(all, n, i))
			continue;
		if (c->has_module)
			found[c->func] = NAMESAKE_MODULE;
		else if (c->file && !c->line)
			found[c->func] = NAMESAKE_FILE;
		else if (c->module.size)
			found[c->func] = NAMESAKE_MODULE;
	}
	*ret = found;
	return 0;
}
