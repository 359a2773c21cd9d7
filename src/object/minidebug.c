/* SPDX-License-Identifier: Apache-2.0 */
#include "object/minidebug.h"

#include "base/file.h"
#include "object/filewin.h"

#include <errno.h>
#include <lzma.h>

#define IN_WINDOW (16u << 10)
#define OUT_SIZE  (32u << 10)

struct inflation {
	struct filewin in;
	uint64_t off, end; /* of what is left in the file */
	lzma_stream stream;
	uint8_t *out; /* OUT_SIZE */
	uint64_t n_out;
	int fd;
};

static void inflation_done(struct inflation *x)
{
	lzma_end(&x->stream);
	filewin_done(&x->in);
	free(x->out);
	close_fd(&x->fd);
}

static int inflation_init(struct inflation *x, const struct elf *e, const char *temp_dir)
{
	*x = (struct inflation){
		.off = e->debugdata.off,
		.end = e->debugdata.off + e->debugdata.size,
		.stream = LZMA_STREAM_INIT,
		.fd = -1,
	};
	int r = filewin_init(&x->in, e->fd, e->file_size, IN_WINDOW);
	if (r < 0)
		return r;
	x->out = malloc(OUT_SIZE);
	if (!x->out || lzma_stream_decoder(&x->stream, MINIDEBUG_MAX_MEMORY, 0) != LZMA_OK)
		return -ENOMEM;
	x->fd = file_temp(temp_dir);
	return x->fd < 0 ? x->fd : 0;
}

static int feed(struct inflation *x)
{
	uint32_t n;
	if (x->off == x->end)
		return -ENODATA;
	x->stream.next_in = filewin_ahead(&x->in, x->off, &n);
	if (!x->stream.next_in)
		return x->in.error ? x->in.error : -ENODATA;
	x->stream.avail_in = x->end - x->off < n ? x->end - x->off : n;
	x->off += x->stream.avail_in;
	return 0;
}

static int flush(struct inflation *x)
{
	size_t n = OUT_SIZE - x->stream.avail_out;
	x->n_out += n;
	return x->n_out > MINIDEBUG_MAX_SIZE ? -E2BIG : fd_write_all(x->fd, x->out, n);
}

static int error_of(lzma_ret code)
{
	switch (code) {
	case LZMA_OK:
	case LZMA_STREAM_END:
		return 0;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		return -E2BIG;
	default:
		return -EBADMSG;
	}
}

static int inflate(struct inflation *x)
{
	lzma_ret code = LZMA_OK;
	int r = 0;
	while (r == 0 && code != LZMA_STREAM_END) {
		if (x->stream.avail_in == 0)
			r = feed(x);
		if (r < 0)
			break;
		x->stream.next_out = x->out;
		x->stream.avail_out = OUT_SIZE;
		code = lzma_code(&x->stream, LZMA_RUN);
		r = error_of(code);
		if (r == 0)
			r = flush(x);
	}
	return r;
}

int minidebug_open(const struct elf *e, const char *temp_dir, int *ret_fd, struct elf *ret)
{
	struct elf mini;
	if (e->debugdata.size == 0)
		return -ENOENT;
	_cleanup_(inflation_done)
	struct inflation x;
	int r = inflation_init(&x, e, temp_dir);
	if (r == 0)
		r = inflate(&x);
	if (r < 0)
		return r;
	if (elf_init(&mini, x.fd, NULL) < 0 || mini.machine != e->machine)
		return -EBADMSG;
	*ret = mini;
	*ret_fd = take_fd(x.fd);
	return 0;
}
