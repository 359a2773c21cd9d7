#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""merge_diff: several profiles: merged they add up, compared they say what
changed and what did not. Usage: merge_diff.py BUILD_DIR"""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import DATA, FOLDED, refused, wick, workspace  # pylint: disable=wrong-import-position
from tap import Skip, case, run  # pylint: disable=wrong-import-position


@case
def merge_adds_up_whatever_the_formats():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "a.folded").write_text(FOLDED)
        (path / "b.folded").write_text("main;parse 5\nnew 1\n")
        assert wick("convert", path / "b.folded", path / "b.pb.gz").returncode == 0
        out = path / "out.folded"
        assert wick("merge", "-o", out, path / "a.folded", path / "b.pb.gz").returncode == 0
        want = FOLDED.replace("parse 10", "parse 15") + "new 1\n"
        assert sorted(out.read_text().splitlines()) == sorted(want.splitlines())
        refused(wick("merge", "-o", out, path / "a.folded"), 1, "--force")
        (path / "heap.heapprofile").write_text(
            '{"head":{"callFrame":{"functionName":"(root)","scriptId":"0","url":"","lineNumber":-1,"columnNumber":-1},'
            '"selfSize":0,"id":1,"children":[]}}'
        )
        refused(
            wick("merge", "-o", path / "x.pb", path / "a.folded", path / "heap.heapprofile"),
            2, "heap.heapprofile", "samples:count", "inuse_space:bytes",
        )
        refused(wick("merge", "-o", path / "x.pb", path / "a.folded", path / "absent"), 1, "absent")
        assert not (path / "x.pb").exists()
        result = wick("merge", "-o", out, "--force", "--focus", "parse", path / "a.folded", path / "b.pb.gz")
        assert sorted(out.read_text().splitlines()) == ["main;parse 15", "main;parse;read_[k] 30"], result.stderr
        refused(wick("merge", "-o", out, "--tag", "(", path / "a.folded"), 2, "--tag: at character 2")
        refused(wick("merge", path / "a.folded"), 2, "-o")
        refused(wick("merge", "-o", path / "x.pb"), 2, "at least one")


@case
def merge_of_real_windows_keeps_every_sample():
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    with workspace() as folder:
        out = os.path.join(folder, "sum.pb.gz")
        windows = sorted(DATA.glob("series/*.pb.gz"))
        result = wick("merge", "-o", out, *windows)
        assert result.returncode == 0, result.stderr
        totals = [json.loads(wick("report", w, "--json").stdout)["total"] for w in (*windows, out)]
        assert totals[-1] == sum(totals[:-1]) and len(totals) > 5, totals
        refused(wick("merge", "-o", os.path.join(folder, "x.pb"), windows[0], DATA / "fgprof.pb.gz"), 2, "types")


DIFF_A = "main;parse;read 400\nmain;parse 300\nmain;write 250\nmain;old 40\nmain;idle 10\n"
DIFF_B = "main;parse;read 400\nmain;parse 420\nmain;write 240\nmain;fresh 25\nmain;idle 15\n"
DIFF_TEXT = """\
samples: A 1,000 in 1 window (1000 samples), B 1,100 in 1 window (1100 samples)
delta: share of B - share of A, in percent points
significant: 3 of 6 functions by self, at a false discovery rate of 5 %; 95 % intervals of each by itself
one window a side: samples are assumed to be independent, which is optimistic; several windows tell

    A self     B self       delta        95 % interval  verdict          function
    30.00%     38.18%       +8.18      +4.12    +12.19  significant      parse
     4.00%      0.00%       -4.00      -5.40     -2.89  significant      [gone: B below 0.27%] old
     0.00%      2.27%       +2.27      +1.45     +3.33  significant      [new: A below 0.3%] fresh
    40.00%     36.36%       -3.64      -7.78     +0.52  not significant  read
    25.00%     21.82%       -3.18      -6.81     +0.44  not significant  write
1 more; --limit 6 shows all
"""


def diff_files(folder):
    path = pathlib.Path(folder)
    (path / "a.folded").write_text(DIFF_A)
    (path / "b.folded").write_text(DIFF_B)
    return path / "a.folded", path / "b.folded"


def finite(value):
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return value is not None


@case
def diff_says_what_changed_and_what_did_not():
    with workspace() as folder:
        a, b = diff_files(folder)
        result = wick("diff", a, b, "--limit", "5")
        assert result.returncode == 0 and not result.stderr, result
        assert result.stdout.decode() == DIFF_TEXT, result.stdout.decode()
        same = wick("diff", a, a, "--stacks").stdout.decode()
        assert "significant: 0 of 5 stacks" in same and "main;parse;read" in same, same
        text = wick("diff", a, b, "--mode", "normalised", "--sort", "total").stdout.decode()
        assert re.search(r"\n +770 +820 +\+50 +\+8 +\+92  significant +parse\n", text), text
        text = wick("diff", a, b, "--mode", "absolute", "--focus", "^write$").stdout.decode()
        assert re.search(r"\n +250 +240 +-10 +not significant  write\n", text) and "parse" not in text, text
        text = wick("diff", a, b, "--detect", "5%").stdout.decode()
        assert "a change of 5 % in parse would need 12.0 k samples per side; you have 1000" in text, text


@case
def diff_believes_wild_windows_less():
    with workspace() as folder:
        path = pathlib.Path(folder)
        for name, f in (("a1", 0), ("a2", 200), ("b1", 50), ("b2", 270), ("c1", 98), ("c2", 102), ("d1", 158), ("d2", 162)):
            (path / name).write_text(f"main;f {f}\nmain;g {1000 - f}\n".replace("main;f 0\n", ""))
        wild = wick("diff", "--base", path / "a1", "--base", path / "a2", path / "b1", path / "b2").stdout.decode()
        even = wick("diff", "--base", path / "c1", "--base", path / "c2", path / "d1", path / "d2").stdout.decode()
        assert "10.00%     16.00%" in wild and "10.00%     16.00%" in even
        assert "significant: 0 of 2" in wild and "significant: 2 of 2" in even, wild + even
        assert "over-dispersion" in wild, wild


@case
def diff_json_is_whole_and_finite():
    with workspace() as folder:
        a, b = diff_files(folder)
        (pathlib.Path(folder) / "empty.folded").write_text("main 0\n")
        top = json.loads(wick("diff", a, b, "--json").stdout)
        assert finite(top) and top["a"] == {"windows": 1, "value": 1000, "samples": 1000}
        functions = {f["name"]: f for f in top["functions"]}
        assert functions["old"]["self"]["gone"] and functions["fresh"]["self"]["new"]
        parse = functions["parse"]
        assert parse["self"]["a"] == 300 and parse["total"]["b"] == 820 and parse["self"]["significant"]
        assert parse["self"]["low"] < parse["self"]["delta"] < parse["self"]["high"]
        assert all(n["parent"] < i for i, n in enumerate(top["nodes"]) if i)
        assert sum(n["self"]["a"] for n in top["nodes"]) == 1000
        nothing = wick("diff", a, os.path.join(folder, "empty.folded"), "--json")
        if nothing.returncode == 0:
            assert finite(json.loads(nothing.stdout)), nothing.stdout


@case
def diff_draws_both_sides():
    with workspace() as folder:
        a, b = diff_files(folder)
        out = pathlib.Path(folder) / "d.svg"
        result = wick("diff", a, b, "-o", out)
        assert result.returncode == 0 and not result.stdout, result
        svg = out.read_text()
        for text in ("<title>old (A 4.00 %, B 0.00 %, -4.00 points", "Gone: only in A, 4.00 % of it", "width: share of B"):
            assert text in svg, text
        page = pathlib.Path(folder) / "d.html"
        assert wick("diff", a, b, "-o", page).returncode == 0
        slab = base64.b64decode(re.search(r'id="slab">([^<]*)<', page.read_text()).group(1))
        assert slab.startswith(b"wickslab") and b"node.base" in slab and b'"whole_a":1000' in slab
        refused(wick("diff", a, b, "-o", out), 1, "--force")
        refused(wick("diff", a, b, "-o", pathlib.Path(folder) / "d.pb"), 2, ".svg")


@case
def diff_refuses_what_cannot_be_compared():
    with workspace() as folder:
        a, b = diff_files(folder)
        heap = pathlib.Path(folder) / "x.heapprofile"
        heap.write_text(
            '{"head":{"callFrame":{"functionName":"(root)","scriptId":"0","url":"","lineNumber":-1,"columnNumber":-1},'
            '"selfSize":0,"id":1,"children":[]}}'
        )
        refused(wick("diff", a, heap), 2, "x.heapprofile", "cannot be compared", "inuse_space:bytes")
        refused(wick("diff", a, b, "--type", "cpu"), 1, "a.folded", "samples:count")
        refused(wick("diff", a), 2, "two profiles")
        refused(wick("diff", "--base", a), 2, "two profiles")
        refused(wick("diff", a, b, b), 2, "--base")
        refused(wick("diff", a, b, "--detect", "none"), 2, "--detect")
        refused(wick("diff", a, b, "--mode", "other"), 2, "normalised")
        refused(wick("diff", a, b, "--focus", "("), 2, "--focus")
        refused(wick("diff", a, os.path.join(folder, "absent")), 1, "absent")


def script_of(module, **functions):
    """perf script of leaves below main, all in one module."""
    lines = []
    for name, samples in functions.items():
        lines += [f"x 1 1.5: 1 cycles:\n\t1 {name} ({module})\n\t2 main ({module})\n\n"] * samples
    return "".join(lines)


def deltas_of_pprof(base, other, kind):
    """Self of each function by `pprof -top -diff_base`, without those of 0."""
    result = subprocess.run(
        ["go", "tool", "pprof", f"-sample_index={kind}", "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0", "-top",
         f"-diff_base={base}", other],
        capture_output=True, timeout=60, check=False,
    )
    if result.returncode != 0:
        raise Skip("go tool pprof does not run")
    found = re.findall(r"^ *(-?\d+) .*?%  +-?\d+ +-?[\d.]+%  (.*)$", result.stdout.decode(), re.M)
    return {name: int(flat) for flat, name in found if int(flat)}


@case
def diff_matches_the_same_program_built_elsewhere():
    with workspace() as folder:
        path = pathlib.Path(folder)
        for name, script in (
            ("a", script_of("/tmp/old/spin", hot=30, cold=20)), ("b", script_of("/tmp/new/spin2", hot=45, cold=20, extra=5))
        ):
            assert wick("convert", "-", path / f"{name}.pb.gz", stdin=script.encode()).returncode == 0
        a, b = path / "a.pb.gz", path / "b.pb.gz"
        for options in ((), ("--stacks",), ("--sort", "total")):
            text = wick("diff", a, b, *options).stdout.decode()
            assert "gone" not in text and text.count("[new") == 1, text
        top = json.loads(wick("diff", a, b, "--json").stdout)
        assert len(top["nodes"]) == 5 and len(top["functions"]) == 5, top
        assert {f["module"] for f in top["functions"][1:]} == {"/tmp/new/spin2"}, top
        assert wick("diff", a, b, "-o", path / "d.svg").returncode == 0 and "Gone:" not in (path / "d.svg").read_text()
        have = {f["name"]: f["self"]["b"] - f["self"]["a"] for f in top["functions"]}
        if not shutil.which("go"):
            raise Skip("no go here: deltas are not compared with pprof")
        assert deltas_of_pprof(a, b, "samples") == {name: delta for name, delta in have.items() if delta}, have


@case
def diff_of_heap_windows_agrees_with_pprof():
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    windows = sorted(DATA.glob("series/*.pb.gz"))
    result = wick("diff", windows[0], windows[-1], "--json")
    assert b"nothing tells how many samples" in result.stderr, result.stderr
    top = json.loads(result.stdout)
    assert finite(top) and not top["has_intervals"]
    have = {}
    for f in top["functions"]:
        delta = have.setdefault(f["name"], [0, 0])
        delta[0] += f["self"]["b"] - f["self"]["a"]
    have = {name: delta[0] for name, delta in have.items() if delta[0]}
    if not shutil.which("go"):
        raise Skip("no go here: deltas are not compared with pprof")
    pprof = subprocess.run(
        ["go", "tool", "pprof", f"-sample_index={top['type']}", "-unit=B", "-nodecount=1000000", "-nodefraction=0",
         "-edgefraction=0", "-top", f"-diff_base={windows[0]}", windows[-1]],
        capture_output=True, timeout=60, check=False,
    )
    if pprof.returncode != 0:
        raise Skip("go tool pprof does not run")
    want = {}
    for flat, name in re.findall(r"^ *(-?\d+)B? .*?%  +-?\d+B? +-?[\d.]+%  (.*)$", pprof.stdout.decode(), re.M):
        name = name.removesuffix(" (inline)").removesuffix(" (partial-inline)")
        want[name] = want.get(name, 0) + int(flat)
    want = {name: flat for name, flat in want.items() if flat}
    assert len(want) > 10 and have == want, (have.items() ^ want.items())


run()
