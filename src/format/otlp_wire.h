/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_wire.h: field numbers of opentelemetry.proto.profiles.v1development
 * (https://github.com/open-telemetry/opentelemetry-proto), in the layouts that
 * have been released with a shared dictionary:
 *
 *                          v1.7                    v1.8, v1.9        v1.10 ...
 *   Sample 1               locations_start_index   stack_index       stack_index
 *          2               locations_length        values            attribute_indices
 *          3               value                   attribute_indices link_index
 *          4               attribute_indices       link_index        values
 *          5               link_index              timestamps        timestamps
 *          6               timestamps
 *   Profile 3, 4           location_indices, time  time, duration    time, duration
 *   dictionary 6, 7        KeyValue, units         KeyValueAndUnit, stacks
 *
 * KeyValue.key_strindex and AnyValue.string_value_strindex came with v1.10. */
#pragma once

enum { OTLP_RESOURCE_PROFILES = 1, OTLP_DICTIONARY = 2 };

enum dictionary_field {
	DICTIONARY_MAPPING = 1,
	DICTIONARY_LOCATION = 2,
	DICTIONARY_FUNCTION = 3,
	DICTIONARY_LINK = 4,
	DICTIONARY_STRING = 5,
	DICTIONARY_ATTRIBUTE = 6,
	DICTIONARY_STACK = 7,
	DICTIONARY_UNIT_1_7 = 7,
	N_DICTIONARY_FIELDS,
};

enum { RESOURCE_PROFILES_RESOURCE = 1, RESOURCE_PROFILES_SCOPE_PROFILES = 2, RESOURCE_PROFILES_SCHEMA_URL = 3 };
enum { RESOURCE_ATTRIBUTES = 1 };
enum { SCOPE_PROFILES_SCOPE = 1, SCOPE_PROFILES_PROFILES = 2 };
enum { SCOPE_NAME = 1, SCOPE_VERSION = 2, SCOPE_ATTRIBUTES = 3 };

enum {
	OTLP_PROFILE_SAMPLE_TYPE = 1,
	OTLP_PROFILE_SAMPLES = 2,
	OTLP_PROFILE_TIME = 3,
	OTLP_PROFILE_DURATION = 4,
	OTLP_PROFILE_PERIOD_TYPE = 5,
	OTLP_PROFILE_PERIOD = 6,
	OTLP_PROFILE_COMMENTS_1_8 = 7, /* v1.8 only; since then profile_id, 16 bytes */
	OTLP_PROFILE_ATTRIBUTES_1_8 = 12,
	OTLP_PROFILE_ATTRIBUTES = 11, /* since v1.9; in v1.8 the original payload */
};

enum {
	PROFILE_1_7_LOCATION_INDICES = 3,
	PROFILE_1_7_TIME = 4,
	PROFILE_1_7_DURATION = 5,
	PROFILE_1_7_PERIOD_TYPE = 6,
	PROFILE_1_7_PERIOD = 7,
	PROFILE_1_7_COMMENTS = 8,
	PROFILE_1_7_DEFAULT_TYPE = 9,
	PROFILE_1_7_ATTRIBUTES = 14,
};

enum {
	OTLP_SAMPLE_STACK = 1,
	OTLP_SAMPLE_ATTRIBUTES = 2,
	OTLP_SAMPLE_LINK = 3,
	OTLP_SAMPLE_VALUES = 4,
	OTLP_SAMPLE_TIMES = 5,
};

enum { STACK_LOCATION_INDICES = 1 };
enum { LINK_TRACE_ID = 1, LINK_SPAN_ID = 2 };

enum {
	OTLP_MAPPING_START = 1,
	OTLP_MAPPING_LIMIT = 2,
	OTLP_MAPPING_OFFSET = 3,
	OTLP_MAPPING_FILENAME = 4,
	OTLP_MAPPING_ATTRIBUTES = 5,
	OTLP_MAPPING_HAS_FUNCTIONS_1_7 = 6, /* then filenames, lines, inlined frames */
	OTLP_MAPPING_HAS_INLINES_1_7 = 9,
};

enum {
	OTLP_LOCATION_MAPPING = 1,
	OTLP_LOCATION_ADDRESS = 2,
	OTLP_LOCATION_LINES = 3,
	OTLP_LOCATION_ATTRIBUTES = 4,
	OTLP_LOCATION_IS_FOLDED_1_7 = 4,
	OTLP_LOCATION_ATTRIBUTES_1_7 = 5,
};

enum { OTLP_LINE_FUNCTION = 1, OTLP_LINE_LINE = 2, OTLP_LINE_COLUMN = 3 };

enum {
	OTLP_FUNCTION_NAME = 1,
	OTLP_FUNCTION_SYSTEM_NAME = 2,
	OTLP_FUNCTION_FILENAME = 3,
	OTLP_FUNCTION_START_LINE = 4,
};

enum { OTLP_TYPE_TYPE = 1, OTLP_TYPE_UNIT = 2 };
enum { ATTRIBUTE_KEY_STRINDEX = 1, ATTRIBUTE_VALUE = 2, ATTRIBUTE_UNIT = 3 };
enum { UNIT_1_7_KEY = 1, UNIT_1_7_UNIT = 2 };
enum { KEY_VALUE_KEY = 1, KEY_VALUE_VALUE = 2, KEY_VALUE_KEY_STRINDEX = 3 };

enum {
	ANY_STRING = 1,
	ANY_BOOL = 2,
	ANY_INT = 3,
	ANY_DOUBLE = 4,
	ANY_ARRAY = 5,
	ANY_KVLIST = 6,
	ANY_BYTES = 7,
	ANY_STRINDEX = 8,
};
