#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: the command line: what is refused, where output goes, what a full disk
leaves, how soon wick starts. Usage: usage.py BUILD_DIR"""

import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import FOLDED, WICK, in_terminal, refused, wick, workspace  # pylint: disable=wrong-import-position
from tap import case, run  # pylint: disable=wrong-import-position


@case
def output_goes_to_standard_output_too():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for to in ("pb.gz", "pb", "folded", "otlp", "speedscope.json", "flamebearer.json", "csv", "callgrind"):
            assert wick("convert", path / "in.folded", path / "out", "--to", to, "--force").returncode == 0, to
            for name in ("-", "/dev/stdout"):
                result = wick("convert", path / "in.folded", name, "--to", to)
                assert result.returncode == 0 and result.stdout == (path / "out").read_bytes(), (to, result.stderr)
        svg = wick("convert", "-", "-", "--to", "svg", stdin=FOLDED.encode())
        assert svg.returncode == 0 and b"operator new" in svg.stdout and not svg.stderr, svg
        merged = wick("merge", "-o", "-", "--to", "folded", path / "in.folded", path / "in.folded")
        assert sorted(merged.stdout.decode().splitlines())[1] == "main;parse 20", merged
        diff = wick("diff", path / "in.folded", path / "in.folded", "-o", "-", "--to", "svg")
        assert diff.returncode == 0 and b"</svg>" in diff.stdout, diff
        # A pipe or a device is written, not replaced; neither asks for --force.
        assert wick("convert", path / "in.folded", "/dev/null", "--to", "pb").returncode == 0
        with open(path / "redirected", "wb") as out:
            done = subprocess.run([WICK, "convert", path / "in.folded", "/dev/stdout", "--to", "txt"], stdout=out, check=True)
        assert done.returncode == 0 and "main;parse 10" in (path / "redirected").read_text()
        refused(wick("convert", path / "in.folded", "-"), 2, "--to", "pb.gz")
        refused(wick("convert", path / "in.folded", "-", "--to", "exe"), 2, "--to exe", "pb.gz")
        refused(wick("diff", path / "in.folded", path / "in.folded", "-o", "-", "--to", "folded"), 2, "svg html slab")
        refused(wick("diff", path / "in.folded", path / "in.folded", "--to", "svg"), 2, "-o")
        flame = wick("report", path / "in.folded", "--flame", "-", "--to", "svg")
        assert flame.returncode == 0 and b"</svg>" in flame.stdout, flame
        refused(wick("report", path / "in.folded", "--to", "svg"), 2, "--flame")
        refused(wick("record", "-o", "-", "--", "true"), 2, "--to")


@case
def binary_output_is_nothing_for_a_terminal():
    with workspace() as folder:
        path = pathlib.Path(folder) / "in.folded"
        path.write_text(FOLDED)
        assert b"is a terminal" in in_terminal(80, "convert", path, "-", "--to", "pb.gz", status=2)
        assert b"main;parse 10" in in_terminal(80, "convert", path, "-", "--to", "folded")


@case
def existing_files_are_kept():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        (path / "out.pb").write_text("precious")
        refused(wick("convert", path / "in.folded", path / "out.pb"), 1, "--force")
        assert (path / "out.pb").read_text() == "precious"
        assert wick("convert", path / "in.folded", path / "out.pb", "--force").returncode == 0
        assert sorted(os.listdir(folder)) == ["in.folded", "out.pb"]


@case
def wrong_usage_is_status_2():
    refused(wick("frobnicate"), 2, "frobnicate")
    refused(wick("report"), 2, "wick help report")
    refused(wick("report", "--top=many", "x"), 2, "many")
    refused(wick("report", "--top", "--tree", "x"), 2, "one view")
    refused(wick("report", "--min-percent", "nan", "x"), 2, "nan")
    refused(wick("report", "--sort", "up", "x"), 2, "up")
    refused(wick("report", "--color", "blue", "x"), 2, "blue")
    refused(wick("report", "x", "y"), 2, "y")
    for options in (("--raw", "--lines"), ("--raw", "--type", "cpu"), ("--raw", "--limit", "3"), ("--raw", "--sort", "self"),
                    ("--raw", "--min-percent", "1"), ("--raw", "--by", "pid"), ("--flame", "x.svg", "--json"),
                    ("--flame", "x.svg", "--lines"), ("--flame", "x.svg", "--by", "pid"), ("--tree", "--sort", "total"),
                    ("--peek", "f", "--by", "pid")):
        flag = [word for word in options if word.startswith("--")]
        refused(wick("report", "x", *options), 2, f"{flag[1]} does not go with {flag[0]}")
    refused(wick("report", "x", "--flame", "x.svg", "--tree"), 2, "a view does not go with --flame")
    refused(wick("diff", "-", "-", stdin=b"a 1\n"), 2, "standard input can be read once")
    refused(wick("diff", "--base", "-", "-", stdin=b"a 1\n"), 2, "standard input can be read once")
    refused(wick("merge", "-o", "x.pb", "-", "-", stdin=b"a 1\n"), 2, "standard input can be read once")
    refused(wick("convert", "a"), 2)
    refused(wick("convert", "a", "b.xyz"), 2, ".pb.gz")
    refused(wick("convert", "a", "b.txt", "--pid"), 2, "--stackcollapse")
    refused(wick("convert", "a", "b.txt", "--stackcollapse", "--event"), 2, "--event")
    refused(wick("record", "-o", "x.pb.gz"), 2, "-p PID")
    refused(wick("record", "-p", "0", "-o", "x.pb.gz"), 2)
    assert wick("help").returncode == 0 and wick("help", "record").returncode == 0
    assert json.loads(wick("version", "--json").stdout)["version"]


@case
def full_disk_leaves_nothing():
    result = subprocess.run(
        ["sh", "-c", f"'{WICK}' report - >/dev/full"], input=FOLDED.encode(), capture_output=True, check=False
    )
    assert result.returncode == 1 and b"No space" in result.stderr, result


@case
def starts_in_a_blink():
    # 20 ms is the goal; a hundred starts share one noisy moment.
    import time

    begin = time.monotonic()
    for _ in range(20):
        wick("version")
    assert (time.monotonic() - begin) / 20 < 0.2


@case
def a_full_disk_leaves_no_half_file():
    import resource

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("out.svg", "out.html", "out.pb", "out.speedscope.json"):
            result = subprocess.run(
                [WICK, "convert", path / "in.folded", path / name],
                capture_output=True,
                preexec_fn=small_files,
                check=False,
            )
            refused(result, 1, name, "File too large")
            assert os.listdir(folder) == ["in.folded"], os.listdir(folder)


run()
