# SPDX-License-Identifier: Apache-2.0
"""tap: test cases as functions, results as TAP.

    @case
    def a_user_would_lose_this(): assert ...

    run()

A case that raises Skip("reason") counts as skipped, any other exception as
failed."""

import functools
import sys
import traceback

ATTEMPTS = 3


class Skip(Exception):
    """This case cannot run here; the text says why."""


_cases = []


def case(function):
    _cases.append(function)
    return function


def measured(function):
    """For figures that other work on the machine disturbs: what is wrong is
    wrong each time, so one of ATTEMPTS must be right."""

    @functools.wraps(function)
    def attempts():
        for _ in range(ATTEMPTS - 1):
            try:
                return function()
            except AssertionError as error:
                print(f"# measured again: {str(error)[:500]!r}", flush=True)
        return function()

    return attempts


def run():
    print(f"1..{len(_cases)}", flush=True)
    failed = 0
    for number, function in enumerate(_cases, 1):
        try:
            function()
            print(f"ok {number} - {function.__name__}", flush=True)
        except Skip as reason:
            print(f"# skip: {reason}")
            print(f"ok {number} - {function.__name__} # SKIP {reason}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            # Where only what failed is shown, that is standard error.
            print(f"{function.__name__}:\n{traceback.format_exc()[-4000:]}", file=sys.stderr, flush=True)
            print(f"not ok {number} - {function.__name__}", flush=True)
    sys.exit(1 if failed else 0)
