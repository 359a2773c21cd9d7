/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/schema.h"

#include <errno.h>
#include <limits.h>

const char *const meta_schema[META_VERSION] = {
	"CREATE TABLE deletions ("
	"  id INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  tenant TEXT NOT NULL,"
	"  selector TEXT NOT NULL,"
	"  from_ms INTEGER NOT NULL,"
	"  to_ms INTEGER NOT NULL,"
	"  requested_ms INTEGER NOT NULL,"
	"  requested_by TEXT NOT NULL,"
	"  applied_ms INTEGER," /* NULL: pending */
	"  n_profiles INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"CREATE INDEX deletions_pending ON deletions (id) WHERE applied_ms IS NULL;",
};

int meta_open(const char *folder, struct db **ret, struct error *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/meta.db", folder);
	if (n < 0 || (size_t)n >= sizeof(path))
		return error_set(err, -ENAMETOOLONG, "%s: name too long", folder);
	return db_open(path, meta_schema, META_VERSION, ret, err);
}
