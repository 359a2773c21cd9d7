#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""convert: profiles between formats: what goes in comes out, older and foreign
forms are read, graphs, tables and flame graphs hold what they should. Usage:
convert.py BUILD_DIR"""

import json
import os
import pathlib
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import DATA, FOLDED, refused, wick, workspace  # pylint: disable=wrong-import-position
from tap import Skip, case, run  # pylint: disable=wrong-import-position


@case
def folded_survives_every_detour():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("a.pb.gz", "a.pb", "a.pprof"):
            assert wick("convert", path / "in.folded", path / name).returncode == 0
            assert wick("convert", path / name, path / f"{name}.folded").returncode == 0
            assert sorted((path / f"{name}.folded").read_text().splitlines()) == sorted(FOLDED.splitlines())


@case
def perf_script_collapses():
    script = "a b 7 1.5: 3 cycles:\n\t7f1 f(int) (/x/vmlinux)\n\na b 7 1.6: 1 faults:\n\n"
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in").write_text(script)
        out = path / "out.txt"
        assert wick("convert", path / "in", out, "--stackcollapse", "--all", "--tid").returncode == 0
        assert out.read_text() == "a_b-?/7;f_[k] 3\n"
        assert wick("convert", path / "in", out, "--stackcollapse", "--event", "faults", "--force").returncode == 0
        assert out.read_text() == "a_b 1\n"
        refused(wick("convert", path / "in", out, "--stackcollapse", "--event", "x", "--force"), 1, "event")
        refused(wick("convert", path / "in", path / "out.svg", "--stackcollapse"), 2, ".folded")


@case
def flame_graphs_hold_every_name():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("out.svg", "out.html"):
            assert wick("report", path / "in.folded", "--flame", path / name).returncode == 0
        svg = (path / "out.svg").read_text()
        assert svg.startswith("<?xml") or svg.startswith("<svg")
        for name in ("main", "parse", "read", "operator new(unsigned long)"):
            assert name in svg, name
        html = (path / "out.html").read_text()
        assert "http://" not in html.replace("http://www.w3.org/", "") and "https://" not in html
        assert len(html) < 150_000, len(html)


@case
def sums_that_end_are_warned_of():
    with workspace() as folder:
        out = pathlib.Path(folder) / "x.pb"
        result = wick("convert", "-", out, stdin=b"a;b 9223372036854775806\nc 7\n")
        assert result.returncode == 0 and b"wick: -: weights add up to more than 63 bits" in result.stderr, result
        assert b"weights add up" in wick("report", out, "--raw").stdout


@case
def real_profiles_open():
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    files = sorted(DATA.glob("*.pb.gz")) + sorted(DATA.glob("series/*.pb.gz")) + [DATA / "large.cpu"]
    assert len(files) > 10
    for file in files:
        result = wick("report", file, "--json", "--top", "5")
        assert result.returncode == 0, (file, result.stderr)
        top = json.loads(result.stdout)
        assert top["functions"] and all(f["total"] >= f["self"] for f in top["functions"]), file


@case
def older_forms_become_pprof():
    heap = "heap profile: 1: 8 [1: 8] @ growthz\n1: 8 [1: 8] @ 0x11 0x21\n--- Memory map: ---\n10-30: /bin/x\n"
    with workspace() as folder:
        path = pathlib.Path(folder)
        assert wick("convert", "-", path / "a.pb.gz", stdin=heap.encode()).returncode == 0
        top = json.loads(wick("report", path / "a.pb.gz", "--json").stdout)
        assert top["type"] == "space" and [f["name"] for f in top["functions"]] == ["x+0x10", "x+0x20"], top
        refused(wick("report", "-", stdin=heap[:-3].encode()), 3,
                "gperftools: ends in the middle of line 4, at byte ", "after 1 sample; --salvage keeps it")


@case
def callgrind_costs_count_once():
    text = "events: Ir\nfn=main\n1 10\ncfn=f\ncalls=2 5\n1 90\n\nfn=f\n5 90\ntotals: 100\n"
    top = json.loads(wick("report", "-", "--json", stdin=text.encode()).stdout)
    assert top["total"] == 100 and [f["self"] for f in top["functions"]] == [90, 10], top
    top = json.loads(wick("report", "-", "--json", "--type", "calls", stdin=text.encode()).stdout)
    assert top["total"] == 2, top
    refused(wick("report", "-", stdin=text.replace("100", "101").encode()), 3, "line 10: the total of Ir is 101")


@case
def graphs_and_tables_for_other_tools():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        assert wick("convert", path / "in.folded", path / "a.dot", "--max-nodes", "2").returncode == 0
        dot = (path / "a.dot").read_text()
        assert "Left out: 2 functions beyond the first 2" in dot and "N1 -> N2 [" in dot, dot
        assert wick("convert", path / "in.folded", path / "a.csv").returncode == 0
        rows = (path / "a.csv").read_bytes().split(b"\r\n")
        assert rows[1] == b"samples,count,operator new(unsigned long),,,60,60,60.0000,60.0000", rows
        assert wick("convert", path / "in.folded", path / "a.callgrind").returncode == 0
        again = json.loads(wick("report", path / "a.callgrind", "--json").stdout)
        assert again["total"] == 100 and again["functions"][0]["name"] == "operator new(unsigned long)", again
        refused(wick("convert", path / "in.folded", path / "b.svg", "--min-edge", "1"), 2, "--min-edge")
        refused(wick("convert", path / "in.folded", path / "b.dot", "--min-edge", "1x"), 2, "--min-edge", "1x")


def moments(data):
    """What may be a time of 2025 in little-endian nanoseconds."""
    return {data[i - 7 : i + 1] for i in range(7, len(data)) if data[i] == 0x18}


@case
def times_of_samples_survive_otlp():
    request = DATA.parent / "otlp" / "otel-ebpf-profile.pb"
    if not request.exists():
        raise Skip("no ../shared/data")
    with workspace() as folder:
        path = pathlib.Path(folder)
        for step in (request, "a.otlp", "a.otlp.gz", "b.otlp"):
            if step != request:
                assert wick("convert", before, path / step).returncode == 0
            before = path / step
        first = (path / "a.otlp").read_bytes()
        assert first == (path / "b.otlp").read_bytes()
        kept = moments(request.read_bytes()) & moments(first)
        assert len(kept) > 5000, len(kept)


run()
