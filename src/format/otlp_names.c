/* SPDX-License-Identifier: Apache-2.0 */
#include "format/otlp_names.h"

#include "base/cleanup.h"

const char *const otlp_mapping_flag_keys[4] = {
	"pprof.mapping.has_functions",
	"pprof.mapping.has_filenames",
	"pprof.mapping.has_line_numbers",
	"pprof.mapping.has_inline_frames",
};

static const struct {
	const char *key, *label;
} names[] = {
	{ "service.name", "service" }, { "thread.name", "thread_name" },
	{ "thread.id", "thread_id" },  { "process.pid", "pid" },
	{ "host.name", "host" },       { "container.name", "container" },
	{ "cloud.region", "region" },  { "cloud.availability_zone", "zone" },
};

static const struct {
	enum frame_kind kind;
	const char *type;
} types[] = {
	{ FRAME_KERNEL, "kernel" },  { FRAME_USER, "native" },
	{ FRAME_PYTHON, "cpython" }, { FRAME_JS, "v8js" },
	{ FRAME_JVM, "jvm" },	     { FRAME_GO, "go" },
	{ FRAME_JIT, "jit" },	     { FRAME_SYNTHETIC, "synthetic" },
};

struct slice otlp_label_of_key(struct slice key)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq(key, slice_str(names[i].key)))
			return slice_str(names[i].label);
	return key;
}

struct slice otlp_key_of_label(struct slice label)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq(label, slice_str(names[i].label)))
			return slice_str(names[i].key);
	return label;
}

enum frame_kind otlp_kind_of_type(struct slice frame_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (slice_eq(frame_type, slice_str(types[i].type)))
			return types[i].kind;
	return FRAME_UNKNOWN;
}

const char *otlp_type_of_kind(enum frame_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].kind == kind)
			return types[i].type;
	return "unknown";
}
