/* SPDX-License-Identifier: Apache-2.0 */
/* strtab.h: interned strings.
 *
 *   bytes:  \0 m a i n \0 l i b c . s o . 6 \0 ...
 *   offset: [0]=0 [1]=1 [2]=6 ...        [n] = end
 *   slots:  hash -> { upper bits: those of the hash | lower bits: id + 1 }
 *           open addressing: the bits that tell slots apart are the other ones
 *
 * Ids are dense and stay valid for the table's life; id 0 is "". Each string
 * is followed by a NUL, but may hold NULs itself: sizes count. Pointers move
 * when the table grows: keep ids, not pointers. */
#pragma once

#include "base/membudget.h"
#include "base/slice.h"

struct str_id {
	uint32_t v;
};

struct strtab {
	VEC(uint8_t) bytes;
	VEC(uint32_t) offset; /* n = number of strings + 1 */
	VEC(uint32_t) hash;   /* one per string; who only ever reads a table may have filled it without */
	uint32_t *slots;
	uint32_t mask;
	struct membudget *budget;
};

int strtab_init(struct strtab *t, struct membudget *budget) must_check;
void strtab_done(struct strtab *t);

/* Takes the room for so many more strings of so many bytes in all at once instead of growing again and again; without
 * the memory it takes none. Whoever counted too many has it charged all the same. */
void strtab_reserve(struct strtab *t, uint32_t n_strings, uint32_t n_bytes);

int strtab_intern(struct strtab *t, struct slice s, struct str_id *ret) must_check;
/* The same of a string of another table. */
int strtab_intern_from(struct strtab *t, const struct strtab *from, struct str_id id, struct str_id *ret) must_check;
static inline int must_check strtab_intern_str(struct strtab *t, const char *s, struct str_id *ret)
{
	return strtab_intern(t, slice_str(s), ret);
}

/* Id of `s`, or 0 with found = false when it was never interned. */
struct str_id strtab_find(const struct strtab *t, struct slice s, bool *ret_found);

static inline uint32_t strtab_count(const struct strtab *t)
{
	return t->offset.n ? t->offset.n - 1 : 0;
}

/* Asserts that `id` came from this table. */
struct slice strtab_get(const struct strtab *t, struct str_id id);
static inline const char *strtab_cstr(const struct strtab *t, struct str_id id)
{
	return (const char *)strtab_get(t, id).data;
}
