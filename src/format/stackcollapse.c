/* SPDX-License-Identifier: Apache-2.0 */
#include "format/stackcollapse.h"

#include "base/saturate.h"

#include <errno.h>
#include <inttypes.h>

#define SKIPPED	 UINT32_MAX /* a frame that is not shown */
#define NOT_MADE (UINT32_MAX - 1)

struct collapser {
	const struct profile *p;
	const struct stackcollapse_options *options;
	struct str_id pid_key, thread_id_key, thread_name_key, event_key, incomplete_key;
	struct strtab texts; /* of frames */
	struct strtab lines;
	VEC(int64_t) weight;  /* by line */
	uint32_t *text_of[2]; /* by frame; [1] as Java wants it */
	VEC(uint32_t) path;   /* texts of the stack at hand, leaf first */
	struct buf scratch;
};

static void collapser_done(struct collapser *c)
{
	struct membudget *budget = c->p->budget;
	strtab_done(&c->texts);
	strtab_done(&c->lines);
	vec_done(budget, &c->weight);
	vec_done(budget, &c->path);
	free(c->text_of[0]);
	free(c->text_of[1]);
	buf_done(&c->scratch);
}

static int collapser_init(struct collapser *c, const struct profile *p, const struct stackcollapse_options *options)
{
	*c = (struct collapser){ .p = p, .options = options, .scratch = buf_of(64u << 20) };
	bool found;
	c->pid_key = strtab_find(&p->dict.strings, slice_str("pid"), &found);
	c->thread_id_key = strtab_find(&p->dict.strings, slice_str("thread_id"), &found);
	c->thread_name_key = strtab_find(&p->dict.strings, slice_str("thread_name"), &found);
	c->event_key = strtab_find(&p->dict.strings, slice_str("event"), &found);
	c->incomplete_key = strtab_find(&p->dict.strings, slice_str("incomplete"), &found);
	int r = strtab_init(&c->texts, p->budget);
	if (r == 0)
		r = strtab_init(&c->lines, p->budget);
	for (int i = 0; r == 0 && i < 2; i++) {
		c->text_of[i] = malloc(p->dict.frames.n * sizeof(uint32_t));
		if (!c->text_of[i])
			return -ENOMEM;
		for (uint32_t k = 0; k < p->dict.frames.n; k++)
			c->text_of[i][k] = NOT_MADE;
	}
	return r;
}

static bool contains(struct slice s, const char *what)
{
	return s.size && memmem(s.data, s.size, what, strlen(what));
}

static struct slice slice_from(struct slice s, size_t at)
{
	return slice_of(s.data + at, s.size - at);
}

/* "net/http.(*Client).Do": a "." after a ")" after a ".(" */
static bool is_go_method(struct slice name)
{
	const uint8_t *open = memmem(name.data, name.size, ".(", 2);
	if (!open)
		return false;
	const uint8_t *from = open + 2;
	return memmem(from, (size_t)(name.data + name.size - from), ").", 2) != NULL;
}

static struct slice without_arguments(struct slice name)
{
	static const char keep[] = "(anonymous namespace)";
	if (is_go_method(name))
		return name;
	for (size_t i = 0; i < name.size; i++)
		if (name.data[i] == '(' && !slice_has_prefix(slice_from(name, i), keep))
			return slice_of(name.data, i);
	return name;
}

/* /tmp/perf-1234.map */
static bool is_jit_map(struct slice path)
{
	static const char start[] = "/tmp/perf-";
	for (;;) {
		const uint8_t *at = path.size ? memmem(path.data, path.size, start, sizeof(start) - 1) : NULL;
		if (!at)
			return false;
		path = slice_from(path, (size_t)(at - path.data) + sizeof(start) - 1);
		size_t n = 0;
		while (n < path.size && path.data[n] >= '0' && path.data[n] <= '9')
			n++;
		if (n && slice_has_prefix(slice_from(path, n), ".map"))
			return true;
	}
}

static bool is_kernel_module(struct slice module)
{
	if (contains(module, "unknown") || module.size == 0)
		return false;
	return module.data[0] == '[' || (module.size >= 7 && memcmp(module.data + module.size - 7, "vmlinux", 7) == 0);
}

static struct slice module_of(const struct dict *d, const struct frame *frame)
{
	if (frame->flags & FRAME_INLINED)
		return slice_str("inlined");
	struct slice path = strtab_get(&d->strings, d->mappings.data[frame->mapping.v].path);
	return path.size ? path : slice_str("[unknown]");
}

/* "[libc.so.6]" or "[libc.so.6 <7f12>]" */
static void put_nameless(struct collapser *c, const struct frame *frame, struct slice module, struct buf *out)
{
	struct slice name = slice_str("unknown");
	if (!slice_eq(module, slice_str("[unknown]"))) {
		size_t from = module.size;
		while (from > 0 && module.data[from - 1] != '/')
			from--;
		name = slice_from(module, from);
	}
	buf_add_byte(out, '[');
	buf_add(out, name.data, name.size);
	if (c->options->addrs)
		buf_printf(out, " <%" PRIx64 ">", frame->address);
	buf_add_byte(out, ']');
}

/* Rewrites text[from ..] in place. */
static void tidy(struct buf *text, size_t from, bool java)
{
	struct slice name = without_arguments(slice_of(text->data + from, text->n - from));
	bool is_signature = java && name.size && name.data[0] == 'L' && memchr(name.data, '/', name.size);
	size_t to = from;
	for (size_t i = is_signature; i < name.size; i++) {
		uint8_t byte = name.data[i];
		if (byte != '"' && byte != '\'')
			text->data[to++] = byte == ';' ? ':' : byte;
	}
	text->n = to;
}

/* One of the frames of "a->b->c". */
static void put_part(struct collapser *c, const struct frame *frame, struct slice part, bool is_inlined, bool java,
		     struct buf *out)
{
	struct slice module = module_of(&c->p->dict, frame);
	size_t from = out->n;
	if (slice_eq(part, slice_str("[unknown]")))
		put_nameless(c, frame, module, out);
	else
		buf_add(out, part.data, part.size);
	if (out->n > from)
		tidy(out, from, java);
	struct slice done = out->n > from ? slice_of(out->data + from, out->n - from) : slice_of("", 0);
	if (is_inlined)
		buf_add_str(out, contains(done, "_[i]") ? "" : "_[i]");
	else if (c->options->kernel && is_kernel_module(module))
		buf_add_str(out, "_[k]");
	else if (c->options->jit && is_jit_map(module))
		buf_add_str(out, contains(done, "_[j]") ? "" : "_[j]");
}

static int make_text(struct collapser *c, struct frame_id id, bool java, uint32_t *ret)
{
	const struct dict *d = &c->p->dict;
	const struct frame *frame = &d->frames.data[id.v];
	struct slice name = strtab_get(&d->strings, d->functions.data[frame->function.v].name);
	if (name.size == 0)
		name = slice_str("[unknown]");
	/* Empty parts at the end are none. */
	while (name.size >= 2 && memcmp(name.data + name.size - 2, "->", 2) == 0)
		name.size -= 2;
	if (name.size == 0 || name.data[0] == '(') {
		*ret = SKIPPED;
		return 0;
	}
	struct buf *text = &c->scratch;
	text->n = 0;
	for (bool is_first = true;; is_first = false) {
		const uint8_t *arrow = memmem(name.data, name.size, "->", 2);
		size_t size = arrow ? (size_t)(arrow - name.data) : name.size;
		if (!is_first)
			buf_add_byte(text, ';');
		put_part(c, frame, slice_of(name.data, size), !is_first, java, text);
		if (!arrow)
			break;
		name = slice_from(name, size + 2);
	}
	if (text->failed)
		return -ENOMEM;
	struct str_id made = { 0 };
	int r = strtab_intern(&c->texts, slice_of(text->data, text->n), &made);
	*ret = made.v;
	return r;
}

struct sample_labels {
	struct str_id thread_name, event;
	int64_t pid, tid;
	bool has_pid, has_tid, is_incomplete;
};

static struct sample_labels labels_of(const struct collapser *c, struct labels_id id)
{
	struct sample_labels l = { 0 };
	uint32_t n;
	const struct label *set = profile_label_set(c->p, id, &n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t key = set[i].key.v;
		if (key == 0)
			continue;
		if (key == c->thread_name_key.v && !set[i].is_num)
			l.thread_name = set[i].str;
		else if (key == c->event_key.v && !set[i].is_num)
			l.event = set[i].str;
		else if (key == c->incomplete_key.v)
			l.is_incomplete = true;
		else if (key == c->pid_key.v && set[i].is_num)
			l.pid = set[i].num, l.has_pid = true;
		else if (key == c->thread_id_key.v && set[i].is_num)
			l.tid = set[i].num, l.has_tid = true;
	}
	/* That tool takes thread 0 for a process id alone. */
	if (l.has_pid && l.tid == 0)
		l.tid = l.pid, l.has_pid = false;
	return l;
}

/* "V8_Worker-24636/25607"; "?" for a number perf did not print */
static void put_thread(const struct collapser *c, const struct sample_labels *l, struct buf *out)
{
	struct slice name = strtab_get(&c->p->dict.strings, l->thread_name);
	for (size_t i = 0; i < name.size; i++)
		buf_add_byte(out, name.data[i] == ' ' ? '_' : name.data[i]);
	if (!c->options->pid && !c->options->tid)
		return;
	if (l->has_pid)
		buf_printf(out, "-%" PRId64, l->pid);
	else
		buf_add_str(out, "-?");
	if (c->options->tid)
		buf_printf(out, "/%" PRId64, l->tid);
}

static int collect_path(struct collapser *c, struct node_id node, bool java)
{
	const struct dict *d = &c->p->dict;
	c->path.n = 0;
	for (; node.v; node = d->node_parent.data[node.v]) {
		struct frame_id frame = d->node_frame.data[node.v];
		uint32_t *text = &c->text_of[java][frame.v];
		int r = 0;
		if (*text == NOT_MADE)
			r = make_text(c, frame, java, text);
		if (r == 0)
			r = vec_reserve(c->p->budget, &c->path, 1);
		if (r < 0)
			return r;
		if (*text != SKIPPED)
			c->path.data[c->path.n++] = *text;
	}
	return 0;
}

static int add_line(struct collapser *c, struct slice line, int64_t weight)
{
	struct str_id id = { 0 };
	int r = strtab_intern(&c->lines, line, &id);
	while (r == 0 && c->weight.n <= id.v) {
		r = vec_reserve(c->p->budget, &c->weight, 1);
		if (r == 0)
			c->weight.data[c->weight.n++] = 0;
	}
	if (r == 0)
		c->weight.data[id.v] = i64_add_saturating(c->weight.data[id.v], weight);
	return r;
}

static int collapse_sample(struct collapser *c, uint32_t sample, const struct sample_labels *l, uint32_t type)
{
	const struct profile *p = c->p;
	struct slice name = strtab_get(&p->dict.strings, l->thread_name);
	/* With numbers behind it the recorded results take no thread for Java's. */
	bool java = slice_has_prefix(name, "java") && !c->options->pid && !c->options->tid;
	int r = collect_path(c, p->node.data[sample], java);
	if (r < 0)
		return r;
	struct buf *line = &c->scratch;
	line->n = 0;
	if (name.size)
		put_thread(c, l, line);
	for (uint32_t i = c->path.n; i-- > 0;) {
		struct slice text = strtab_get(&c->texts, (struct str_id){ c->path.data[i] });
		if (name.size || i + 1 < c->path.n)
			buf_add_byte(line, ';');
		buf_add(line, text.data, text.size);
	}
	if (line->failed)
		return -E2BIG;
	return add_line(c, slice_of(line->data, line->n), p->value[type].data[sample]);
}

/* The event to show: *ret_name, 0 = samples say nothing of events. */
static int choose_event(const struct collapser *c, struct str_id *ret_name, uint32_t *ret_type, struct error *err)
{
	const struct profile *p = c->p;
	bool found = true;
	struct str_id event = { 0 };
	if (c->options->event)
		event = strtab_find(&p->dict.strings, slice_str(c->options->event), &found);
	for (uint32_t i = 0; !c->options->event && event.v == 0 && i < profile_n_samples(p); i++)
		event = labels_of(c, p->labels.data[i]).event;
	*ret_type = profile_default_type(p);
	*ret_name = event;
	bool is_type = false;
	for (uint32_t i = 0; found && event.v && i < p->n_types; i++)
		if (p->types[i].type.v == event.v && !is_type) {
			*ret_type = i;
			is_type = true;
		}
	if (c->options->event && (!found || !is_type))
		return error_set(err, -ENOENT, "no sample of event \"%s\"", c->options->event);
	return 0;
}

static int compare_lines(const void *a, const void *b, void *context)
{
	const struct strtab *t = context;
	struct slice x = strtab_get(t, *(const struct str_id *)a), y = strtab_get(t, *(const struct str_id *)b);
	int r = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
	return r ? r : (x.size > y.size) - (x.size < y.size);
}

static int put_lines(struct collapser *c, struct buf *out)
{
	uint32_t n = c->weight.n;
	_cleanup_(free_ptr)
	struct str_id *order = malloc((n + 1) * sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		order[i].v = i;
	qsort_r(order, n, sizeof(*order), compare_lines, &c->lines);
	for (uint32_t i = 0; i < n; i++) {
		struct slice line = strtab_get(&c->lines, order[i]);
		if (c->weight.data[order[i].v] == 0)
			continue;
		buf_add(out, line.data, line.size);
		buf_printf(out, " %" PRId64 "\n", c->weight.data[order[i].v]);
	}
	return out->failed ? -E2BIG : 0;
}

int stackcollapse_encode(const struct profile *p, const struct stackcollapse_options *o, struct buf *out,
			 struct error *err)
{
	_cleanup_(collapser_done)
	struct collapser c;
	struct str_id event;
	uint32_t type;
	int r = collapser_init(&c, p, o);
	if (r < 0)
		return error_set(err, r, "%s", strerror(-r));
	r = choose_event(&c, &event, &type, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < profile_n_samples(p); i++) {
		struct sample_labels l = labels_of(&c, p->labels.data[i]);
		if (l.event.v == event.v && !l.is_incomplete)
			r = collapse_sample(&c, i, &l, type);
	}
	if (r == 0)
		r = put_lines(&c, out);
	return r < 0 ? error_set(err, r, "%s", strerror(-r)) : 0;
}
