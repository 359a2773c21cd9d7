/* SPDX-License-Identifier: Apache-2.0 */
/* packing.h: bytes as blocks store them: one zstd frame, or plain where that is not smaller. */
#pragma once

#include "base/buf.h"
#include "base/membudget.h"

struct packer {
	struct ZSTD_CCtx_s *context;
	int level;
};

int packer_init(struct packer *p, int level) must_check; /* 0 or -ENOMEM */
void packer_done(struct packer *p);

/* Appends `plain` to `out`, packed if that is smaller; the size it takes there. 0 and
 * out->failed: no memory. */
size_t pack(struct packer *p, struct slice plain, struct buf *out);

struct unpacker {
	struct ZSTD_DCtx_s *context;
};

int unpacker_init(struct unpacker *u) must_check; /* 0 or -ENOMEM */
void unpacker_done(struct unpacker *u);

/* `size` bytes into `out` from what pack() made of them. -EBADMSG. */
int unpack(struct unpacker *u, struct slice stored, uint8_t *out, size_t size) must_check;
