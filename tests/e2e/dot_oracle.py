#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dot_oracle: our call graph beside that of `go tool pprof -dot`: the same
functions with the same self and total values, the same calls with the same
weights. Usage: dot_oracle.py BUILD_DIR

Where several of our functions have one name (pprof tells them by name only)
or a frame has no name (pprof makes one node of a binary's), a function and
its calls are left out of the comparison; they must be few."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Skip, case, run  # pylint: disable=wrong-import-position

WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
DATA = pathlib.Path(__file__).resolve().parent.parent.parent.parent / "shared" / "data" / "pprof"
CASES = [
    ("fgprof.pb.gz", "time", "nanoseconds"),
    ("profile-with-labels.pb.gz", "samples", "count"),
    ("pyroscope-heap.pb.gz", "inuse_space", "bytes"),
    ("series/*.pb.gz", "alloc_space", "bytes"),
    ("large.cpu", "cpu", "nanoseconds"),
]
OURS = re.compile(r'^N(\d+) \[label=.* self=(-?\d+) total=(-?\d+) .*tooltip="((?:[^"\\]|\\.)*)"')
OUR_EDGE = re.compile(r'^N(\d+) -> N(\d+) \[label=.* value=(-?\d+) (.*)\]$')
THEIRS = re.compile(r'^N(\d+) \[label="((?:[^"\\]|\\.)*)" id="node\d+" .*tooltip="((?:[^"\\]|\\.)*) \(([^()]*)\)"')
THEIR_EDGE = re.compile(r'^N(\d+) -> N(\d+) \[label=" ([^"\\]*)(?:\\n \(inline\))?" .*?( style="dotted")?')


def whole(text):
    """The number of "-1200ns", "12B", "7"."""
    return int(re.match(r"-?\d+", text)[0])


def ours(text):
    nodes, edges, names, doubles = {}, {}, {}, set()
    for line in text.splitlines():
        node, edge = OURS.match(line), OUR_EDGE.match(line)
        if node:
            name = node[4].split("\\n")[0]
            names[node[1]] = name
            if name in nodes:
                doubles.add(name)
            nodes[name] = (int(node[2]), int(node[3]))
        elif edge:
            edges[names[edge[1]], names[edge[2]]] = int(edge[3])
    return nodes, edges, doubles


def theirs(text):
    nodes, edges, names = {}, {}, {}
    for line in text.splitlines():
        node, edge = THEIRS.match(line), THEIR_EDGE.match(line)
        if node:
            flat = re.search(r"(-?\d+)[a-zA-Z]* \([^()]*%\)(?:\\nof .*)?$", node[2])
            names[node[1]] = node[3]
            nodes[node[3]] = (0 if re.search(r"\\n0 of [^\\]*$", node[2]) or not flat else int(flat[1]), whole(node[4]))
        elif edge and edge[1] in names:
            edges[names[edge[1]], names[edge[2]]] = whole(edge[3])
    return nodes, edges


def draw_ours(file, kind, folder, percent):
    out = pathlib.Path(folder) / "ours.dot"
    result = subprocess.run(
        [WICK, "convert", file, out, "--type", kind, "--force", "--max-nodes", "0", "--min-node", str(percent),
         "--min-edge", str(percent / 5)],
        capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    return ours(out.read_text())


def draw_theirs(file, kind, unit, folder, percent):
    peer = subprocess.run(
        ["go", "tool", "pprof", "-dot", "-symbolize=none", "-nodecount=0", f"-nodefraction={percent / 100}",
         f"-edgefraction={percent / 500}", f"-sample_index={kind}", f"-unit={unit}", file],
        capture_output=True, text=True, check=False, env={**os.environ, "PPROF_TMPDIR": folder})
    assert peer.returncode == 0, peer.stderr
    return theirs(peer.stdout)


def profiles():
    if not shutil.which("go"):
        raise Skip("no Go, so no pprof to compare with")
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    return [(file, kind, unit) for pattern, kind, unit in CASES for file in sorted(DATA.glob(pattern))[:3]]


@case
def whole_graphs_are_those_of_pprof():
    n_edges = 0
    for file, kind, unit in profiles():
        with tempfile.TemporaryDirectory(prefix="wick-dot-") as folder:
            nodes, edges, doubles = draw_ours(file, kind, folder, 0)
            want_nodes, want_edges = draw_theirs(file, kind, unit, folder, 0)
        unclear = doubles | (nodes.keys() - want_nodes.keys())
        assert len(unclear) * 20 <= len(nodes) and len(nodes) > 10, (file, sorted(unclear)[:5])
        for name in nodes.keys() - unclear:
            assert nodes[name] == want_nodes[name], (file, name, nodes[name], want_nodes[name])
        clear = {pair: w for pair, w in edges.items() if not unclear & set(pair)}
        for pair, weight in clear.items():
            assert want_edges.get(pair) == weight, (file, pair, weight, want_edges.get(pair))
        lost = [p for p, w in want_edges.items() if w and p not in edges and set(p) <= nodes.keys() - unclear]
        assert not lost, (file, lost[:5])
        n_edges += len(clear)
    print(f"# {n_edges} calls compared")
    assert n_edges > 1000


@case
def cut_off_graphs_are_those_of_pprof():
    """pprof drops dotted edges that another path makes redundant; we keep them.
    Which functions are small depends on what counts as one, so that files where
    names are shared are compared by nodes only."""
    n_edges = 0
    for file, kind, unit in profiles():
        with tempfile.TemporaryDirectory(prefix="wick-dot-") as folder:
            doubles = draw_ours(file, kind, folder, 0)[2]
            nodes, edges, _ = draw_ours(file, kind, folder, 1)
            want_nodes, want_edges = draw_theirs(file, kind, unit, folder, 1)
        unclear = doubles | (nodes.keys() - want_nodes.keys())
        assert len(unclear - doubles) <= 2, (file, unclear)
        for name in nodes.keys() - unclear:
            assert nodes[name] == want_nodes[name], (file, name)
        for pair, weight in want_edges.items():
            if not unclear and set(pair) <= nodes.keys():
                assert edges.get(pair) == weight, (file, pair, weight, edges.get(pair))
                n_edges += 1
    print(f"# {n_edges} calls compared")
    assert n_edges > 100


@case
def graphviz_can_draw_it():
    if not shutil.which("dot"):
        raise Skip("no Graphviz")
    with tempfile.TemporaryDirectory(prefix="wick-dot-") as folder:
        out = pathlib.Path(folder) / "a.dot"
        folded = b'main;f("x\\y");operator<< 5\nmain;\xff\xfe;a\tb 7\nmain;f("x\\y");main 1\n'
        result = subprocess.run([WICK, "convert", "-", out], input=folded, capture_output=True, check=False)
        assert result.returncode == 0, result.stderr
        result = subprocess.run(["dot", "-Tsvg", out], capture_output=True, timeout=60, check=False)
        assert result.returncode == 0 and not result.stderr, result.stderr
        assert b"operator&lt;&lt;" in result.stdout and b"f(&quot;x\\y&quot;)" in result.stdout


run()
