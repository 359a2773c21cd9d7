#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pprof_oracle: `wick report` and `go tool pprof` say the same of a profile:
self and total of every function, who calls whom for how much, and what is
inlined. Skipped, and counted, where Go is not there.

pprof knows a function by its name alone, wick by name, file and module; so
rows of one name are taken together (their self adds up; a stack may hold two of
them, so their total is compared where there is one). Frames without a name
are one node per module in pprof and one per address in wick.
Usage: pprof_oracle.py BUILD_DIR"""

import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import Skip, case, run  # noqa: E402

WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
GENERATOR = os.path.join(os.path.abspath(sys.argv[1]), "bench", "gen_pprof")
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "pprof"
ALL = str(10_000_000)
NODE_ROW = re.compile(r" *(\S+) +\S+% +\S+% +(\S+) +\S+% +\| (.*)$")
EDGE_ROW = re.compile(r" {20,}(\S+) +\S+% \|   (.*)$")
INLINE = re.compile(r" \((partial-)?inline\)$")


def wick(*arguments):
    result = subprocess.run([WICK, "report", *arguments, "--json"], capture_output=True, check=False, timeout=300)
    assert result.returncode == 0, (arguments, result.stderr)
    return json.loads(result.stdout)


def go_pprof(path, kind, unit):
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        raise Skip("Go is not here")
    result = subprocess.run(
        [go, "tool", "pprof", "-tree", "-nodecount=0", "-nodefraction=0", "-edgefraction=0", "-trim=false",
         "-symbolize=none", f"-unit={unit}", f"-sample_index={kind}", path],
        capture_output=True,
        check=False,
        timeout=300,
        env={**os.environ, "TZ": "UTC", "PPROF_TMPDIR": tempfile.gettempdir()},
    )
    text = result.stdout.decode()
    return None if result.returncode else text.splitlines(), result.stderr.decode()


def number(text):
    """-unit is the profile's own, so values are whole."""
    return int(float(re.match(r"-?[\d.]+", text).group()))


class Graph:
    """What -tree prints: functions, and edges as seen from both their ends."""

    def __init__(self, lines):
        self.functions, self.edges, self.inline = {}, {}, collections.defaultdict(set)
        above, below, before, node = {}, {}, [], None
        for line in lines:
            if line.startswith("-----"):
                before, node = [], None
            elif row := NODE_ROW.match(line):
                node = row.group(3)
                self.functions[node] = number(row.group(1)), number(row.group(2))
                for caller, weight, mark in before:
                    above[caller, node] = weight
                    self.inline[node].add(mark)
            elif row := EDGE_ROW.match(line):
                name, mark = INLINE.sub("", row.group(2)), bool(INLINE.search(row.group(2)))
                if node is None:
                    before.append((name, number(row.group(1)), mark))
                else:
                    below[node, name] = number(row.group(1))
        assert above == below
        self.edges = above


def name_in_pprof(function):
    """A frame without a name goes by its module."""
    module = os.path.basename(function["module"])
    if function["name"].startswith(f"{module}+0x") and module:
        return f"[{module}]", False
    if re.fullmatch(r"0x[0-9a-f]+|\[unknown\]", function["name"]):
        return "<unknown>", False
    return function["name"], True


def by_name(functions):
    groups = collections.defaultdict(list)
    for function in functions:
        groups[name_in_pprof(function)[0]].append(function)
    return groups


def compare_functions(what, ours, graph):
    groups = by_name(ours)
    assert set(groups) == set(graph.functions), (what, set(groups) ^ set(graph.functions))
    for name, (flat, cum) in graph.functions.items():
        rows = groups[name]
        assert sum(row["self"] for row in rows) == flat, (what, name, flat, rows)
        if len(rows) == 1:
            assert rows[0]["total"] == cum, (what, name, cum, rows)
            # An edge that is inlined only at times counts as not inlined there.
            marks, inline = graph.inline[name], rows[0]["inline"]
            assert (marks == {True}) == (inline == "yes"), (what, name, marks, inline)
            assert True not in marks or inline != "no", (what, name, marks, inline)
        elif all(row["total"] >= 0 for row in rows):
            assert max(row["total"] for row in rows) <= cum <= sum(row["total"] for row in rows), (what, name, rows)


def compare_edges(what, ours, theirs):
    groups = by_name(ours)
    alone = {name for name, rows in groups.items() if len(rows) == 1 and name_in_pprof(rows[0])[1]}
    found = {}
    for name in alone:
        for edge in groups[name][0]["callers"]:
            # pprof draws no edge from a function to itself.
            if edge["name"] in alone and edge["name"] != name:
                found[edge["name"], name] = edge["weight"]
    expected = {(a, b): weight for (a, b), weight in theirs.items() if a in alone and b in alone}
    assert found == expected, (what, set(found.items()) ^ set(expected.items()))
    return len(expected)


def compare(path):
    """Every sample type of one profile; number of types, rows, edges."""
    types = [(t["type"], t["unit"]) for t in wick(path, "--raw")["types"]]
    n = [0, 0, 0]
    for kind, unit in types:
        what = f"{path.name} {kind}"
        lines, why = go_pprof(path, kind, unit)
        if lines is None:
            print(f"# skip: {why.splitlines()[0]}")
            return n
        graph = Graph(lines)
        compare_functions(what, wick(path, "--top", ALL, "--type", f"{kind}:{unit}")["functions"], graph)
        peek = wick(path, "--peek", "", "--limit", ALL, "--type", f"{kind}:{unit}")["functions"]
        edges = compare_edges(what, peek, graph.edges)
        n = [n[0] + 1, n[1] + len(graph.functions), n[2] + edges]
    return n


def compare_all(paths):
    n = [sum(column) for column in zip(*(compare(path) for path in paths))]
    assert n[0] > 0
    print(f"# {len(paths)} files, {n[0]} sample types, {n[1]} functions, {n[2]} edges")


@case
def real_profiles():
    paths = [p for p in sorted(DATA.rglob("*")) if p.is_file() and p.suffix != ".string"]
    if not paths:
        raise Skip("../shared/data/pprof is not there")
    compare_all(paths)


@case
def recursion_of_every_kind():
    """Stacks over few functions hold each other in every order."""
    rng = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="wick-oracle-") as folder:
        path = pathlib.Path(folder)
        lines = []
        for _ in range(3000):
            stack = ";".join(rng.choice("abcdefg") for _ in range(rng.randint(1, 12)))
            lines.append(f"main;{stack} {rng.randint(1, 9)}\n")
        (path / "in.folded").write_text("".join(lines))
        subprocess.run([WICK, "convert", path / "in.folded", path / "out.pb.gz"], check=True, timeout=60)
        compare_all([path / "out.pb.gz"])


@case
def the_profile_of_the_benchmark():
    with tempfile.TemporaryDirectory(prefix="wick-oracle-") as folder:
        path = pathlib.Path(folder) / "generated.pb"
        with path.open("wb") as out:
            subprocess.run([GENERATOR, "2000"], stdout=out, stderr=subprocess.DEVNULL, check=True, timeout=60)
        compare_all([path])


if __name__ == "__main__":
    run()
