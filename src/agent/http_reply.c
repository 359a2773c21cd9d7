/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http_reply.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

void reply_init(struct reply_parser *p, struct buf *body)
{
	*p = (struct reply_parser){ .state = REPLY_HEAD, .body = body };
}

static uint64_t body_max(const struct reply_parser *p)
{
	return p->body ? p->body->max : HTTP_BODY_MAX;
}

static bool parse_u64(const char *s, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;
	const char *at = s;
	for (; isxdigit((unsigned char)*at); at++) {
		int c = tolower((unsigned char)*at);
		unsigned digit = c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
		if (digit >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*ret = v;
	return at > s;
}

/* "HTTP/1.1 200 OK" */
static int take_status_line(struct reply_parser *p)
{
	uint64_t status;
	if (strncmp(p->line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)p->line[7]) || p->line[8] != ' ' ||
	    !parse_u64(p->line + 9, 10, &status) || status < 100 || status > 599)
		return -EBADMSG;
	p->reply.status = (int)status;
	p->keep_alive = p->line[7] != '0';
	p->first_line_done = true;
	return 0;
}

/* The value of header `name`, or NULL. */
static const char *header_value(const char *line, const char *name)
{
	size_t n = strlen(name);
	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	const char *value = line + n + 1;
	while (*value == ' ' || *value == '\t')
		value++;
	return value;
}

static int take_header(struct reply_parser *p)
{
	const char *value;
	if ((value = header_value(p->line, "Content-Length"))) {
		uint64_t length;
		if (!parse_u64(value, 10, &length) || (p->has_length && length != p->left))
			return -EBADMSG;
		p->has_length = true;
		p->left = length;
	} else if ((value = header_value(p->line, "Transfer-Encoding"))) {
		if (strcasecmp(value, "chunked") != 0)
			return -EBADMSG;
		p->chunked = true;
	} else if ((value = header_value(p->line, "Connection"))) {
		if (strcasecmp(value, "close") == 0)
			p->keep_alive = false;
	} else if ((value = header_value(p->line, "Retry-After"))) {
		uint64_t seconds;
		if (parse_u64(value, 10, &seconds))
			p->reply.retry_after_s = seconds > 3600 ? 3600 : (uint32_t)seconds;
	}
	return 0;
}

static int end_of_head(struct reply_parser *p)
{
	if (p->reply.status < 200) {
		reply_init(p, p->body);
		return 0;
	}
	if (p->reply.status == 204 || p->reply.status == 304)
		p->state = REPLY_DONE;
	else if (p->chunked)
		p->state = REPLY_CHUNK_SIZE;
	else if (!p->has_length)
		p->state = REPLY_BODY_OPEN;
	else
		p->state = p->left ? REPLY_BODY_SIZED : REPLY_DONE;
	return p->state == REPLY_BODY_SIZED && p->left > body_max(p) ? -E2BIG : 0;
}

static int take_line(struct reply_parser *p)
{
	switch (p->state) {
	case REPLY_HEAD:
		if (!p->first_line_done)
			return take_status_line(p);
		return p->line[0] ? take_header(p) : end_of_head(p);
	case REPLY_CHUNK_SIZE:
		if (!parse_u64(p->line, 16, &p->left))
			return -EBADMSG;
		p->state = p->left ? REPLY_CHUNK_DATA : REPLY_TRAILER;
		return 0;
	case REPLY_CHUNK_END:
		p->state = REPLY_CHUNK_SIZE;
		return p->line[0] ? -EBADMSG : 0;
	case REPLY_TRAILER:
		if (!p->line[0])
			p->state = REPLY_DONE;
		return 0;
	default:
		return -EBADMSG;
	}
}

static bool wants_line(const struct reply_parser *p)
{
	return p->state == REPLY_HEAD || p->state == REPLY_CHUNK_SIZE || p->state == REPLY_CHUNK_END ||
	       p->state == REPLY_TRAILER;
}

static int take_byte_of_line(struct reply_parser *p, char c)
{
	if (++p->n_head > HTTP_HEAD_MAX)
		return -E2BIG;
	if (c != '\n') {
		if (p->n_line < sizeof(p->line) - 1)
			p->line[p->n_line++] = c;
		return 0;
	}
	if (p->n_line && p->line[p->n_line - 1] == '\r')
		p->n_line--;
	p->line[p->n_line] = 0;
	p->n_line = 0;
	return take_line(p);
}

/* Takes body bytes; returns how many. */
static size_t take_body(struct reply_parser *p, struct slice data)
{
	size_t n = p->state == REPLY_BODY_OPEN || data.size < p->left ? data.size : (size_t)p->left;
	for (size_t i = 0; i < n && p->n_text < sizeof(p->reply.text) - 1; i++)
		p->reply.text[p->n_text++] = (char)(isprint(data.data[i]) ? data.data[i] : ' ');
	p->body_size += n;
	if (p->body)
		buf_add(p->body, data.data, n);
	if (p->state == REPLY_BODY_OPEN)
		return n;
	p->left -= n;
	if (p->left == 0)
		p->state = p->state == REPLY_CHUNK_DATA ? REPLY_CHUNK_END : REPLY_DONE;
	return n;
}

int reply_feed(struct reply_parser *p, struct slice data)
{
	size_t i = 0;
	while (i < data.size && p->state != REPLY_DONE) {
		if (wants_line(p)) {
			int r = take_byte_of_line(p, (char)data.data[i++]);
			if (r < 0)
				return r;
			continue;
		}
		i += take_body(p, slice_of(data.data + i, data.size - i));
		p->n_head = 0; /* the limit is for what is not body */
		if (p->body_size > body_max(p))
			return -E2BIG;
	}
	return 0;
}

int reply_closed(struct reply_parser *p)
{
	p->keep_alive = false;
	if (p->state != REPLY_BODY_OPEN)
		return -ECONNRESET;
	p->state = REPLY_DONE;
	return 0;
}
