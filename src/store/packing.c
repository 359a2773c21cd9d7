/* SPDX-License-Identifier: Apache-2.0 */
#include "store/packing.h"

#include <errno.h>
#include <zstd.h>

int packer_init(struct packer *p, int level)
{
	*p = (struct packer){ .context = ZSTD_createCCtx(), .level = level };
	return p->context ? 0 : -ENOMEM;
}

void packer_done(struct packer *p)
{
	(void)ZSTD_freeCCtx(p->context);
	p->context = NULL;
}

size_t pack(struct packer *p, struct slice plain, struct buf *out)
{
	uint8_t *to = plain.size ? buf_room(out, ZSTD_compressBound(plain.size)) : NULL;
	if (!to)
		return 0;
	size_t n = ZSTD_compressCCtx(p->context, to, ZSTD_compressBound(plain.size), plain.data, plain.size, p->level);
	if (ZSTD_isError(n) || n >= plain.size) {
		memcpy(to, plain.data, plain.size);
		n = plain.size;
	}
	out->n += n;
	return n;
}

int unpacker_init(struct unpacker *u)
{
	u->context = ZSTD_createDCtx();
	return u->context ? 0 : -ENOMEM;
}

void unpacker_done(struct unpacker *u)
{
	(void)ZSTD_freeDCtx(u->context);
	u->context = NULL;
}

int unpack(struct unpacker *u, struct slice stored, uint8_t *out, size_t size)
{
	if (stored.size > size)
		return -EBADMSG;
	if (stored.size == size) {
		if (size)
			memcpy(out, stored.data, size);
		return 0;
	}
	size_t n = ZSTD_decompressDCtx(u->context, out, size, stored.data, stored.size);
	return n == size ? 0 : -EBADMSG;
}
