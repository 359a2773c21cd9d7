/* SPDX-License-Identifier: Apache-2.0 */
/* A thread sampled twice would count double; one whose creator's events were
 * closed would not count at all. */
#include "collect/followed.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

static int *one_fd(int *ret_fd)
{
	int *fds = calloc(1, sizeof(*fds));
	assert_non_null(fds);
	*ret_fd = fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(fds[0] >= 0);
	return fds;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void test_events_live_as_long_as_heirs(void **state)
{
	struct followed f = { .max_fds = 10 };
	int fd;
	assert_int_equal(followed_add(&f, 10, one_fd(&fd), 1), 0);
	assert_int_equal(followed_inherit(&f, 10, 11), 0);
	assert_int_equal(followed_inherit(&f, 11, 12), 0);
	assert_int_equal(followed_inherit(&f, 99, 13), 0); /* whose parent is not followed */
	assert_true(followed_has(&f, 12));
	assert_false(followed_has(&f, 13));
	followed_remove(&f, 10);
	followed_remove(&f, 11);
	assert_true(is_open(fd));
	followed_remove(&f, 12);
	assert_false(is_open(fd));
	assert_int_equal(f.n_fds, 0);
	followed_remove(&f, 12);
	followed_done(&f);
}

static void test_limits(void **state)
{
	struct followed f = { .max_fds = 1 };
	int fd, other;
	int *fds = NULL;
	assert_int_equal(followed_add(&f, 5, one_fd(&fd), 1), 0);
	fds = one_fd(&other);
	assert_int_equal(followed_add(&f, 6, fds, 1), -E2BIG);
	f.max_fds = 2;
	assert_int_equal(followed_add(&f, 5, fds, 1), -EEXIST);
	assert_int_equal(followed_add(&f, 3, fds, 1), 0);
	assert_true(followed_has(&f, 3) && followed_has(&f, 5));
	followed_done(&f);
	assert_false(is_open(fd));
	assert_false(is_open(other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events_live_as_long_as_heirs),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
