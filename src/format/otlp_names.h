/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_names.h: OpenTelemetry's names of things
 * (https://opentelemetry.io/docs/specs/semconv/registry/attributes/), and wick's. */
#pragma once

#include "base/slice.h"
#include "model/dict.h"

#define KEY_FRAME_TYPE	 "profile.frame.type"
#define KEY_FRAME_FOUND	 "wick.frame.found" /* ours: frame_found_name() */
#define KEY_IS_FOLDED	 "pprof.location.is_folded"
#define KEY_BUILD_ID_GNU "process.executable.build_id.gnu"
#define KEY_BUILD_ID_GO	 "process.executable.build_id.go"
#define KEY_BUILD_ID_HTL "process.executable.build_id.htlhash"
#define KEY_COMMENT	 "pprof.profile.comment"
#define KEY_DOC_URL	 "pprof.profile.doc_url"
#define KEY_DROP_FRAMES	 "pprof.profile.drop_frames"
#define KEY_KEEP_FRAMES	 "pprof.profile.keep_frames"
#define KEY_DEFAULT_TYPE "pprof.scope.default_sample_type"

/* What a label is called here ("thread_name") and there ("thread.name"); any
 * other name is the same. */
struct slice otlp_label_of_key(struct slice key);
struct slice otlp_key_of_label(struct slice label);

/* "kernel", "native", "cpython" ...; FRAME_UNKNOWN for those the model does
 * not tell apart. */
enum frame_kind otlp_kind_of_type(struct slice frame_type);
const char *otlp_type_of_kind(enum frame_kind kind);

/* In the order of bits of enum mapping_flags. */
extern const char *const otlp_mapping_flag_keys[4];
