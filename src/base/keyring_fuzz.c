/* SPDX-License-Identifier: Apache-2.0 */
/* A key file is refused with a reason, or the key to write with is found by
 * its id. */
#include "base/keyring.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(keyring_free)
	struct keyring *k = NULL;
	struct error err = { "" };
	const struct master_key *found = NULL;
	int r = keyring_parse(slice_of(data, size), &k, &err);
	if (r < 0) {
		assert(!k && err.text[0] && (r == -EBADMSG || r == -E2BIG));
	} else {
		const struct master_key *writer = keyring_writer(k);
		assert(strlen(writer->id) >= 1 && strlen(writer->id) <= KEY_ID_MAX);
		r = keyring_find(k, slice_str(writer->id), &found, NULL);
		assert(r == 0 && found == writer);
		r = keyring_find(k, slice_of(data, size), &found, NULL);
		assert(r == 0 || r == -ENOKEY);
	}
	return 0;
}
