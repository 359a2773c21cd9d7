#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""filter: filters leave what docs/query.md says, in every command that takes
them. Usage: filter.py BUILD_DIR"""

import gzip
import json
import os
import pathlib
import re
import shlex
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import FOLDED, TESTS, refused, wick, workspace  # pylint: disable=wrong-import-position
from tap import case, run  # pylint: disable=wrong-import-position


@case
def filters_leave_what_docs_query_md_says():
    text = (TESTS.parent / "docs" / "query.md").read_text()
    profile = re.search(r"```folded\n(.*?)```", text, re.S)[1]
    rows = re.findall(r"^\| `(--.*?)` \| (.*) \|$", text.split("## Examples")[1], re.M)
    assert len(rows) >= 12
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in").write_text(profile)
        for filters, left in rows:
            words = shlex.split(filters.replace("\\|", "|"))
            result = wick("convert", path / "in", path / "out.folded", "--force", *words)
            if left.startswith("error: "):
                refused(result, 2, left.removeprefix("error: ").strip("`"))
                continue
            assert result.returncode == 0, (filters, result.stderr)
            want = [] if left == "nothing" else re.findall(r"`([^`]+)`", left)
            assert sorted((path / "out.folded").read_text().splitlines()) == sorted(want), filters
            assert ("leave none" in result.stderr.decode()) == (left == "nothing"), filters


@case
def shares_are_of_what_docs_query_md_says():
    profile = b"main;f 30\nmain;g 70\n"
    report = json.loads(wick("report", "-", "--focus", "f", "--json", stdin=profile).stdout)
    assert (report["total"], report["whole"]) == (30, 100), report
    assert b" 30.00%  f" in wick("report", "-", "--focus", "f", stdin=profile).stdout
    with workspace() as folder:
        path = pathlib.Path(folder) / "in"
        path.write_bytes(profile)
        diff = wick("diff", path, path, "--focus", "f").stdout
        assert b"30.00%     30.00%" in diff, diff
        table = wick("convert", path, "-", "--to", "csv", "--focus", "f").stdout
        assert b"f,,,30,30,100.0000,100.0000" in table, table


@case
def a_filtered_profile_stays_a_profile():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in").write_text(FOLDED)
        for out in ("a.pb.gz", "a.otlp", "a.svg", "a.html", "a.slab", "a.speedscope.json", "a.flamebearer.json"):
            assert wick("convert", path / "in", path / out, "--focus", "parse", "--hide", "^main$").returncode == 0, out
        for name in ("a.pb.gz", "a.otlp", "a.speedscope.json", "a.flamebearer.json"):
            assert wick("convert", path / name, path / "b.folded", "--force").returncode == 0
            assert {line.removesuffix(" 30").removesuffix("_[k]") for line in
                    (path / "b.folded").read_text().splitlines()} == {"parse;read", "parse 10"}, name
        # What was filtered out is in no table of the file either.
        assert b"operator new" not in gzip.decompress((path / "a.pb.gz").read_bytes())
        assert b"operator new" not in (path / "a.otlp").read_bytes()
        collapsed = wick("convert", path / "in", path / "c.folded", "--stackcollapse", "--ignore", "operator")
        assert collapsed.returncode == 0, collapsed.stderr
        assert "operator" not in (path / "c.folded").read_text()


@case
def a_filter_that_cannot_be_is_a_usage_error():
    for command in (("report", "-"), ("convert", "-", "out.svg")):
        refused(wick(*command, "--focus", "(foo"), 2, "--focus: at character 5: missing closing parenthesis")
        refused(wick(*command, "--tag", "size=2mb:1mb"), 2, "--tag", "ends before it begins")
        refused(wick(*command, *["--hide", "x"] * 17), 2, "--hide: more than 16 filter terms")
    refused(wick("report", "-", "--show-from", "^(a+)+$", stdin=b"main;" + b"a" * 99 + b"! 1\n"), 4,
            "--show-from: the pattern needs too much work on", "aaaa")


run()
