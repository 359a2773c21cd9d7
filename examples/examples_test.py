#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples_test: the examples use their CPU time as their headers say. What
profiles are compared with is wrong otherwise. Usage: examples_test.py FOLDER,
the one with the built examples."""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from tap import case, run  # noqa: E402

FOLDER = os.path.abspath(sys.argv[1])
CALL_SHARES = {"parse_request": (60, 60), "render_page": (10, 30), "escape_html": (20, 20), "write_log": (10, 10)}


def truth(name, seconds="0.5"):
    """{function: (self, total)} in percent, as the example measured it."""
    text = subprocess.run([f"{FOLDER}/example-{name}", seconds], capture_output=True, timeout=60, check=True, text=True)
    rows = re.findall(r"^truth (.+) self ([\d.]+) total ([\d.]+) cpu_ms (\d+)$", text.stdout, re.MULTILINE)
    assert all(int(row[3]) > 0 for row in rows), rows
    return {row[0]: (float(row[1]), float(row[2])) for row in rows}


def expect(name, want):
    have = truth(name)
    assert have.keys() == want.keys(), have
    for function, shares in want.items():
        # 2 points for interrupts, which the thread's clock counts too.
        assert all(abs(a - b) <= 2 for a, b in zip(have[function], shares)), (function, have[function], shares)


@case
def fp_keeps_its_shares():
    expect("fp", CALL_SHARES)


@case
def nofp_keeps_the_same_shares():
    expect("nofp", CALL_SHARES)


@case
def cxx_keeps_its_shares():
    expect("cxx", {"shop::Cart<shop::Book>::total() const": (50, 50), "shop::Cart<shop::Record>::total() const": (30, 30),
                   "shop::tax::rate(int, char const*)": (20, 20)})


@case
def threads_keeps_its_shares():
    expect("threads", {"decode_frame": (60, 60), "mix_audio": (30, 30), "upload_chunk": (10, 10)})


@case
def wrong_arguments_are_refused():
    for arguments in (["x"], ["-1"], ["0"], ["1e9"], ["1", "2"], ["1s"], [""]):
        result = subprocess.run([f"{FOLDER}/example-fp", *arguments], capture_output=True, timeout=60, check=False)
        assert result.returncode == 2, (arguments, result.returncode)
        assert b"usage:" in result.stderr


run()
