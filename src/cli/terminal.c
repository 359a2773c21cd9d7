/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define GAP	       "..."
#define REMARK_COLUMNS 24

bool color_mode_parse(const char *text, enum color_mode *ret)
{
	static const char *const names[] = {
		[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum color_mode)i;
			return true;
		}
	return false;
}

static bool wants_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

struct terminal terminal_of(FILE *f, enum color_mode mode)
{
	struct winsize size;
	bool is_terminal = isatty(fileno(f)) == 1;
	struct terminal t = { .has_color =
				      mode == COLOR_ALWAYS || (mode == COLOR_AUTO && is_terminal && wants_color()) };
	if (is_terminal)
		t.width = ioctl(fileno(f), TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
	return t;
}

const char *terminal_share(const struct terminal *t, double percent)
{
	double size = fabs(percent);
	return !t->has_color ? "" : size >= 5 ? "\x1b[31m" : size >= 0.5 ? "\x1b[32m" : "";
}

const char *terminal_dim(const struct terminal *t)
{
	return t->has_color ? "\x1b[2m" : "";
}

const char *terminal_bold(const struct terminal *t)
{
	return t->has_color ? "\x1b[1m" : "";
}

const char *terminal_plain(const struct terminal *t)
{
	return t->has_color ? "\x1b[0m" : "";
}

/* C0, DEL, C1, line separators, and what turns the direction of writing. */
static bool is_control(const uint8_t *s, size_t n)
{
	if (n == 1)
		return *s < 0x20 || *s == 0x7f;
	if (n == 2)
		return s[0] == 0xc2 && s[1] < 0xa0;
	if (n != 3 || s[0] != 0xe2)
		return false;
	return (s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9);
}

/* Bytes of the character at `at`: 1 for what is shown as '?'. */
static size_t character(struct slice s, size_t at, bool *ret_shown)
{
	size_t n = utf8_sequence(s.data + at, s.size - at);
	*ret_shown = n > 0 && !is_control(s.data + at, n);
	return n ? n : 1;
}

/* Byte behind the path that a name begins with: "a/b/pkg.(*T).f" without
 * "a/b", "/src/x.c" without "/src"; 0 = there is none. */
static size_t path_end(struct slice name)
{
	size_t end = 0;
	for (size_t i = 0; i < name.size && !strchr("(<[ ", name.data[i]); i++)
		if (name.data[i] == '/')
			end = i;
	return end;
}

static uint32_t count_columns(struct slice name)
{
	uint32_t n = 0;
	bool shown;
	for (size_t i = 0; i < name.size; n++)
		i += character(name, i, &shown);
	return n;
}

/* The name's characters, but not those in [from, to). */
static void put_without(FILE *f, struct slice name, uint32_t from, uint32_t to)
{
	size_t at = 0, size;
	bool shown;
	for (uint32_t k = 0; at < name.size; k++, at += size) {
		size = character(name, at, &shown);
		if (k == from && from < to)
			(void)fputs(GAP, f);
		if (k >= from && k < to)
			continue;
		if (shown)
			(void)fwrite(name.data + at, 1, size, f);
		else
			(void)fputc('?', f);
	}
}

void terminal_put_name(FILE *f, struct slice name, uint32_t columns)
{
	uint32_t n = count_columns(name);
	if (columns == 0 || n <= columns) {
		put_without(f, name, 0, 0);
		return;
	}
	size_t end = path_end(name);
	struct slice rest = slice_of(name.data + end, name.size - end);
	uint32_t n_rest = count_columns(rest), gap = (uint32_t)strlen(GAP);
	uint32_t room = columns > gap ? columns - gap : 0;
	if (n_rest <= room) {
		put_without(f, name, 0, n - n_rest);
		return;
	}
	if (end > 0) {
		rest = slice_of(rest.data + 1, rest.size - 1);
		n_rest--;
	}
	/* Both ends of what remains: what it is in, and what it is. */
	if (n_rest <= columns)
		put_without(f, rest, 0, 0);
	else
		put_without(f, rest, room - room / 2, n_rest - room / 2);
}

static bool has_brackets(struct slice text)
{
	return text.size > 1 && text.data[0] == '[' && text.data[text.size - 1] == ']';
}

uint32_t terminal_remark_columns(struct slice text)
{
	uint32_t n = count_columns(text);
	return n == 0 ? 0 : (n < REMARK_COLUMNS ? n : REMARK_COLUMNS) + (has_brackets(text) ? 1 : 3);
}

void terminal_put_remark(const struct terminal *t, struct slice text)
{
	if (text.size == 0)
		return;
	bool is_bare = !has_brackets(text);
	(void)printf(" %s%s", terminal_dim(t), is_bare ? "[" : "");
	terminal_put_name(stdout, text, t->width ? REMARK_COLUMNS : 0);
	(void)printf("%s%s", is_bare ? "]" : "", terminal_plain(t));
}
