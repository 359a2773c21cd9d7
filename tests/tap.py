# SPDX-License-Identifier: Apache-2.0
"""tap: test cases as functions, results as TAP.

    @case
    def a_user_would_lose_this(): assert ...

    run()

A case that raises Skip("reason") counts as skipped, any other exception as
failed."""

import sys
import traceback


class Skip(Exception):
    """This case cannot run here; the text says why."""


_cases = []


def case(function):
    _cases.append(function)
    return function


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
            print(f"not ok {number} - {function.__name__}", flush=True)
    sys.exit(1 if failed else 0)
