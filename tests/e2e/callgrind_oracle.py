#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""callgrind_oracle: what Valgrind writes, read by wick, beside what
callgrind_annotate says of it, and what wick writes, read by
callgrind_annotate. Usage: callgrind_oracle.py BUILD_DIR"""

import collections
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Skip, case, run  # pylint: disable=wrong-import-position

DATA = pathlib.Path(__file__).resolve().parent.parent.parent.parent / "shared" / "data" / "pprof"
WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
LINE = re.compile(r"^\s*([\d,]+) (?:\([^)]*\)\s+)?(.*?):(.*?)(?: \[(?:[^][]*|\[[^][]*\])\])?$")


def wick(*arguments):
    result = subprocess.run([WICK, *arguments], capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def record(path, *options):
    if not shutil.which("valgrind") or not shutil.which("callgrind_annotate"):
        raise Skip("no Valgrind")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}", *options, "ls", "/"]
    result = subprocess.run(command, capture_output=True, timeout=120, check=False)
    if result.returncode or not path.exists():
        raise Skip("Valgrind cannot run here")


def annotated(path, *options):
    """{(file, function): first event} and the program's total."""
    text = subprocess.run(
        ["callgrind_annotate", "--threshold=100", "--auto=no", "--show-percs=no", *options, path],
        capture_output=True, text=True, timeout=60, check=True).stdout
    rows, total = collections.Counter(), 0
    for line in text.splitlines():
        if "PROGRAM TOTALS" in line:
            total = int(line.split()[0].replace(",", ""))
        match = LINE.match(line)
        if match and total:
            rows[match[2].strip().replace("???", ""), match[3]] += int(match[1].replace(",", ""))
    return rows, total


def ours(path):
    rows = collections.Counter()
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row["file"], row["function"].replace("\t", " ")] += int(row["self"])
    return +rows, sum(rows.values())


@case
def valgrinds_profile_keeps_its_totals():
    for options in (), ("--dump-instr=yes", "--collect-jumps=yes", "--cache-sim=yes"), ("--compress-strings=no", "--compress-pos=no"):
        with tempfile.TemporaryDirectory(prefix="wick-callgrind-") as folder:
            path = pathlib.Path(folder) / "in"
            record(path, *options)
            wick("convert", path, path.with_suffix(".csv"), "--type", "Ir")
            rows, total = ours(path.with_suffix(".csv"))
            want, want_total = annotated(path, "--show=Ir", "--sort=Ir")
            # What Valgrind could not attribute is in its summary only.
            written = sum(int(text.split()[1]) for text in path.read_text().splitlines() if text.startswith("totals:"))
            assert 10000 < total == written <= want_total <= total + 100, (options, total, written, want_total)
            assert rows == want, (options, (rows - want).most_common(5), (want - rows).most_common(5))
            assert json.loads(wick("report", path, "--json"))["type"] == "Ir"


def converted(folder, source, *options):
    """Our tables and our callgrind file of a profile."""
    table, out = pathlib.Path(folder) / "a.csv", pathlib.Path(folder) / "a.callgrind"
    wick("convert", source, table, *options)
    wick("convert", source, out, *options)
    return table, out


def need_annotate():
    if not shutil.which("callgrind_annotate"):
        raise Skip("no callgrind_annotate")


@case
def self_costs_survive_the_way_out():
    need_annotate()
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    for name, kind in (("profile-with-labels.pb.gz", "samples"), ("fgprof.pb.gz", "time"), ("large.cpu", "cpu")):
        with tempfile.TemporaryDirectory(prefix="wick-callgrind-") as folder:
            table, out = converted(folder, DATA / name, "--type", kind)
            rows, total = ours(table)
            want, want_total = annotated(out)
            assert (total, +rows) == (want_total, +want), (name, (rows - want).most_common(3), (want - rows).most_common(3))
            again = table.with_name("again.csv")
            wick("convert", out, again, "--type", kind)
            assert ours(again) == (rows, total), name


@case
def inclusive_costs_are_totals():
    """Without recursion: readers add a function's calls to its self cost."""
    need_annotate()
    folded = b"main;parse;read 30\nmain;parse 10\nmain;alloc;read 5\nmain;alloc 60\nthread;alloc 7\n"
    with tempfile.TemporaryDirectory(prefix="wick-callgrind-") as folder:
        source = pathlib.Path(folder) / "in.folded"
        source.write_bytes(folded)
        table, out = converted(folder, source)
        with open(table, newline="", encoding="utf-8") as file:
            totals = {row["function"]: int(row["total"]) for row in csv.DictReader(file)}
        rows, _ = annotated(out, "--inclusive=yes")
        assert {name: value for (_, name), value in rows.items()} == totals, (rows, totals)


@case
def recursion_is_counted_once_per_call():
    need_annotate()
    with tempfile.TemporaryDirectory(prefix="wick-callgrind-") as folder:
        source = pathlib.Path(folder) / "in.folded"
        source.write_bytes(b"main;f;f;f 4\nmain;f;g;f;g 3\n")
        _, out = converted(folder, source)
        calls = re.findall(r"cfn=\(\d+\)(?: (\w+))?\ncalls=1 0\n0 (\d+)", out.read_text())
        assert sorted(int(cost) for _, cost in calls) == [3, 3, 7], out.read_text()
        rows, total = annotated(out)
        assert total == 7 and rows["", "f"] == 4 and rows["", "g"] == 3, rows


run()
