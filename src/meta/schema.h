/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h: what is in DATA/meta.db, and how each version became the next. A
 * script that was released is never changed: what it did is on disk. */
#pragma once

#include "meta/db.h"

#define META_VERSION 1

extern const char *const meta_schema[META_VERSION]; /* [v]: from version v to v + 1 */

/* `folder`/meta.db, at META_VERSION. Errors as db_open(). */
int meta_open(const char *folder, struct db **ret, struct error *err) must_check;
