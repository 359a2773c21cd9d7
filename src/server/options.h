/* SPDX-License-Identifier: Apache-2.0 */
/* options.h: what wick-server is told, by arguments or else by environment.
 * option.def lists it all; --help and the messages are made from that. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	char address[64]; /* numeric, an IPv6 one in brackets */
	uint16_t port;
	bool insecure;	 /* an address other than loopback is wanted */
	char data[4096]; /* FOLDER_PATH_SIZE */
	uint64_t memory_limit, disk_limit, disk_reserve;
	int64_t retention_ms, sums_retention_ms;
	uint32_t series_limit, label_values_limit;
	uint64_t flush_size;
	int64_t flush_age_ms;
	uint64_t debuginfo_limit, debuginfo_file_limit;
	char debuginfod[4096];	    /* "" = none */
	char encryption_keys[4096]; /* a file; "" = none */
	int ready_fd;		    /* -1 = none */
	bool help, version;
};

/* -EINVAL says which setting is wrong and why. */
int options_parse(struct options *o, int argc, char **argv, struct error *err) must_check;
void options_usage(FILE *out);

/* "512M", "10G", "1048576": bytes; K, M, G, T are powers of 1024. -EINVAL. */
int options_size(const char *text, uint64_t *ret) must_check;
/* "90s", "15m", "2h", "1d": milliseconds, more than 0. -EINVAL. */
int options_duration(const char *text, int64_t *ret_ms) must_check;
