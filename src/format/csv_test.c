/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/csv.h"
#include "format/folded.h"
#include "format/testprofile.h"

#include <errno.h>

#define HEAD "type,unit,function,file,module,self,total,self_percent,total_percent\r\n"

static void assert_becomes(const char *folded, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(folded_decode(slice_str(folded), &format_limits_default, &p, NULL), 0);
	assert_int_equal(csv_encode(&p, CSV_ALL_TYPES, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, want);
	profile_done(&p);
}

static void a_row_for_each_function(void **state)
{
	(void)state;
	assert_becomes("main;f;g;f 3\nmain;g 1\n", HEAD "samples,count,f,,,3,3,75.0000,75.0000\r\n"
							"samples,count,g,,,1,4,25.0000,100.0000\r\n"
							"samples,count,main,,,0,4,0.0000,100.0000\r\n");
}

static void cells_are_quoted(void **state)
{
	(void)state;
	assert_becomes("f<a, b>(\"x\") 1\n", HEAD "samples,count,\"f<a, b>(\"\"x\"\")\",,,1,1,100.0000,100.0000\r\n");
}

/* A table that is no UTF-8 is opened as something else as a whole. */
static void cells_are_utf8(void **state)
{
	(void)state;
	assert_becomes("\xff\xc3\xa4\xc3 1\n",
		       HEAD "samples,count,\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd,,,1,1,100.0000,100.0000\r\n");
}

/* The program that was profiled chose the names; opening the table must run none of them. */
static void no_name_is_a_formula(void **state)
{
	(void)state;
	assert_becomes("=cmd|'/c calc'!A1;+1;-1;@SUM(1,2) 1\n",
		       HEAD "samples,count,\"'@SUM(1,2)\",,,1,1,100.0000,100.0000\r\n"
			    "samples,count,'+1,,,0,1,0.0000,100.0000\r\nsamples,count,'-1,,,0,1,0.0000,100.0000\r\n"
			    "samples,count,'=cmd|'/c calc'!A1,,,0,1,0.0000,100.0000\r\n");
}

static void all_types_or_one(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf all = buf_of(1 << 20), one = buf_of(1 << 20), little = buf_of(80);
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(csv_encode(&p, CSV_ALL_TYPES, &all), 0);
	assert_int_equal(csv_encode(&p, 0, &one), 0);
	assert_int_equal(csv_encode(&p, 0, &little), -E2BIG);
	buf_add_byte(&all, 0);
	buf_add_byte(&one, 0);
	assert_non_null(
		strstr((char *)all.data, "\r\nsamples,count,peek,lex.h,/usr/bin/server,3,3,75.0000,75.0000\r\n"));
	assert_non_null(strstr((char *)all.data, "\r\ncpu,nanoseconds,"));
	assert_null(strstr((char *)one.data, "cpu,nanoseconds"));
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_for_each_function), cmocka_unit_test(cells_are_quoted),
		cmocka_unit_test(cells_are_utf8),	   cmocka_unit_test(no_name_is_a_formula),
		cmocka_unit_test(all_types_or_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
