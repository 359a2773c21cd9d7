#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report: the views of `wick report` as text, as JSON and in a terminal, and the
names in them. Usage: report.py BUILD_DIR"""

import json
import os
import pathlib
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import FOLDED, in_terminal, refused, wick, workspace  # pylint: disable=wrong-import-position
from tap import case, run  # pylint: disable=wrong-import-position


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


@case
def report_json_has_the_promised_shape():
    result = wick("report", "-", "--json", "--top", "2", stdin=FOLDED.encode())
    assert result.returncode == 0, result.stderr
    top = json.loads(result.stdout)
    assert top["type"] == "samples" and top["unit"] == "count" and top["total"] == 100
    assert [(f["name"], f["self"], f["total"]) for f in top["functions"]] == [
        ("operator new(unsigned long)", 60, 60),
        ("read", 30, 30),
    ]
    assert set(top["functions"][0]) == {"name", "file", "module", "inline", "self", "total"}
    assert top["view"] == "top" and top["whole"] == 100 and top["functions_left_out"] == 2


@case
def report_text_is_plain():
    result = wick("report", "-", stdin=FOLDED.encode())
    assert result.returncode == 0 and b"\x1b" not in result.stdout
    assert b"60.00%" in result.stdout and b"operator new" in result.stdout


@case
def report_shows_the_tree_and_says_what_it_left_out():
    def lines(*arguments):
        result = wick("report", "-", "--tree", *arguments, stdin=FOLDED.encode())
        assert result.returncode == 0, result.stderr
        return result.stdout.decode().splitlines()

    assert lines() == [
        "samples: 100",
        "     total  total%       self   self%  function",
        "       100 100.00%          0   0.00%  main",
        "        60  60.00%         60  60.00%    operator new(unsigned long)",
        "        40  40.00%         10  10.00%    parse",
        "        30  30.00%         30  30.00%      read",
    ]
    assert lines("--min-percent", "35")[-2:] == [
        "        40  40.00%         10  10.00%    parse",
        "        30  30.00% in 1 of 4 nodes left out; --min-percent 0 shows all",
    ]
    assert lines("--limit", "1")[2:] == [
        "       100 100.00%          0   0.00%  main",
        "       100 100.00% in 3 of 4 nodes left out",
    ]
    tree = json.loads(wick("report", "-", "--tree", "--json", "--limit", "3", stdin=FOLDED.encode()).stdout)
    assert [(n["depth"], n["name"], n["self"], n["total"]) for n in tree["nodes"]] == [
        (0, "all", 0, 100),
        (1, "main", 0, 100),
        (2, "operator new(unsigned long)", 60, 60),
        (2, "parse", 10, 40),
    ]
    assert tree["nodes_left_out"] == 1 and tree["self_left_out"] == 30


@case
def report_says_how_the_frames_of_the_tree_were_found():
    # location, its function, how it was found: 1 register, 2 table, 4 frame pointer
    locations = [(1, 1, 2), (2, 1, 4), (3, 2, 1), (4, 2, 0)]
    strings = ["", "samples", "count", "main", "f"]
    pprof = field(1, b"\x08\x01\x10\x02")
    for stack in (b"\x03\x01", b"\x04\x02"):
        pprof += field(2, field(1, stack) + b"\x10\x01")
    for number, function, way in locations:
        line = field(4, b"\x08" + bytes([function]))
        pprof += field(4, b"\x08" + bytes([number]) + line + (varint(127 << 3) + bytes([way]) if way else b""))
    for number in (1, 2):
        pprof += field(5, b"\x08" + bytes([number]) + b"\x10" + bytes([number + 2]))
    pprof += b"".join(field(6, s.encode()) for s in strings)

    def found(data):
        nodes = json.loads(wick("report", "-", "--tree", "--json", stdin=data).stdout)["nodes"]
        return [(n["name"], n.get("found")) for n in nodes]

    ways = [("all", None), ("main", ["table", "fp"]), ("f", ["register"])]
    assert found(pprof) == ways, found(pprof)
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.pb").write_bytes(pprof)
        for name in ("a.otlp", "b.pb.gz"):
            assert wick("convert", path / "in.pb", path / name).returncode == 0
            assert found((path / name).read_bytes()) == ways, name
    assert [way for _, way in found(FOLDED.encode())] == [None] * 5


@case
def by_label_is_a_table_or_a_first_level_each():
    script = b"a 1 1.5: 3 cycles:\n\t7f1 f (/x/a)\n\nb 2 1.6: 1 cycles:\n\t7f1 f (/x/a)\n\n"
    text = wick("report", "-", "--type", "cycles", "--by", "thread_name", stdin=script).stdout.decode().splitlines()
    assert text == [
        "cycles: 4 by thread_name",
        "",
        "thread_name=a: 3 (75.00%) in 1 function",
        "      self   self%    sum%      total  total%  function",
        "         3  75.00%  75.00%          3  75.00%  f",
        "",
        "thread_name=b: 1 (25.00%) in 1 function",
        "      self   self%    sum%      total  total%  function",
        "         1  25.00%  25.00%          1  25.00%  f",
    ], text
    top = json.loads(wick("report", "-", "--by", "thread_id", "--json", stdin=script).stdout)
    assert [(g["value"], g["functions"][0]["self"]) for g in top["groups"]] == [("1", 3), ("2", 1)], top
    tree = wick("report", "-", "--type", "cycles", "--tree", "--by", "thread_id", stdin=script).stdout.decode()
    assert tree.splitlines()[0] == "cycles: 4 by thread_id" and tree.splitlines()[3].endswith("  f"), tree
    refused(wick("report", "-", "--by", "host", stdin=script), 1, "host", "thread_name")
    refused(wick("report", "-", "--by", "host", stdin=FOLDED.encode()), 1, "nor any other")
    refused(wick("report", "-", "--by", "host", "--raw", stdin=script), 2, "--by")


RECURSIVE = b"main;f;g;f;h 3\nmain;f;f 4\nthread;g;f 2\nthread;h 5\n"


@case
def peek_shows_callers_and_callees():
    text = wick("report", "-", "--peek", "^f$", stdin=RECURSIVE).stdout.decode().splitlines()
    assert text == [
        "samples: 14; 1 function matches",
        "      self   self%      total  total%      calls  calls%  function",
        "                                               7  77.78%      main",
        "                                               5  55.56%      g",
        "                                               4  44.44%      f",
        "         6  42.86%          9  64.29%                     f",
        "                                               4  44.44%      f",
        "                                               3  33.33%      g",
        "                                               3  33.33%      h",
    ], text
    peek = json.loads(wick("report", "-", "--peek", "g|h", "--json", "--limit", "2", stdin=RECURSIVE).stdout)
    assert peek["view"] == "peek" and peek["functions_left_out"] == 1, peek
    # "thread" has an h.
    assert [f["name"] for f in peek["functions"]] == ["h", "thread"] and peek["functions"][0]["total"] == 8
    assert [(c["name"], c["weight"]) for c in peek["functions"][0]["callers"]] == [("thread", 5), ("f", 3)]


@case
def callers_and_callees_count_a_stack_once():
    text = wick("report", "-", "--callers", "^f$", stdin=RECURSIVE).stdout.decode().splitlines()
    assert text == [
        "samples: 9 of 14 (64.29%); each function above its callers",
        "     total  total%  function",
        "         9  64.29%  f",
        "         7  50.00%    main",
        "         2  14.29%    g",
        "         2  14.29%      thread",
    ], text
    tree = json.loads(wick("report", "-", "--callees", "^f$", "--json", stdin=RECURSIVE).stdout)
    assert [(n["depth"], n["name"], n["self"], n["total"]) for n in tree["nodes"]] == [
        (0, "all", 0, 9),
        (1, "f", 2, 9),
        (2, "f", 4, 4),
        (2, "g", 0, 3),
        (3, "f", 0, 3),
        (4, "h", 3, 3),
    ], tree
    refused(wick("report", "-", "--callers", "nowhere", stdin=RECURSIVE), 1, "no function")
    refused(wick("report", "-", "--peek", "(", stdin=RECURSIVE), 2, "--peek: at character")
    refused(wick("report", "-", "--peek", "a", "--peek", "b", stdin=RECURSIVE), 2, "one view")
    refused(wick("report", "-", "--callees", stdin=RECURSIVE), 2, "--callees")


@case
def lines_stand_apart():
    frames = [{"name": "f", "file": "a.c", "line": line} for line in (10, 20)]
    speedscope = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "shared": {"frames": frames},
        "profiles": [
            {"type": "sampled", "name": "x", "unit": "none", "startValue": 0, "endValue": 3, "samples": [[0], [1]],
             "weights": [1, 2]}
        ],
    }
    document = json.dumps(speedscope).encode()
    text = wick("report", "-", "--lines", stdin=document).stdout.decode()
    assert text.splitlines()[2].endswith("  f a.c:20") and text.splitlines()[3].endswith("  f a.c:10"), text
    top = json.loads(wick("report", "-", "--lines", "--json", stdin=document).stdout)
    assert [(f["line"], f["self"]) for f in top["functions"]] == [(20, 2), (10, 1)]
    assert len(json.loads(wick("report", "-", "--json", stdin=document).stdout)["functions"]) == 1


def in_terminal_of_script(script):
    with workspace() as folder:
        path = pathlib.Path(folder) / "in"
        path.write_bytes(script)
        return re.sub(rb"\x1b\[[0-9;]*m", b"", in_terminal(90, "report", path))


@case
def namesakes_say_which_they_are():
    script = (
        "x 1 1.5: 1 e:\n\t1 f (/opt/a/liba.so)\n\nx 1 1.6: 1 e:\n\t1 f (/opt/b/libb.so)\n\t2 main (/bin/x)\n\n"
        "x 1 1.7: 1 e:\n\t1 f ([kernel.kallsyms])\n\n"
    ).encode()
    for view in (("--top",), ("--tree",), ("--peek", "f"), ("--callers", "f"), ("--callees", "f")):
        text = wick("report", "-", *view, stdin=script).stdout.decode()
        for name in ("f [liba.so]\n", "f [libb.so]\n", "f [kernel.kallsyms]\n"):
            assert name in text, (view, text)
        assert "main [" not in text, text
    assert b"f [liba.so]\n" in in_terminal_of_script(script)
    names = [f["name"] for f in json.loads(wick("report", "-", "--json", stdin=script).stdout)["functions"]]
    assert names.count("f") == 3, names
    with workspace() as folder:
        path = pathlib.Path(folder) / "in"
        path.write_bytes(script)
        text = wick("diff", path, path, "--limit", "9").stdout.decode()
        assert "f [liba.so]\n" in text and "f [libb.so]\n" in text, text


@case
def negative_values_keep_their_weight():
    """What grew and what shrank would cancel out to nothing."""
    values = {"a": 5, "b": -5}
    strings = ["", "delta", "count", "a", "b"]

    pprof = field(1, b"\x08\x01\x10\x02")
    for number, (name, value) in enumerate(values.items(), 1):
        pprof += field(2, b"\x08" + bytes([number]) + b"\x10" + varint(value))
        pprof += field(4, b"\x08" + bytes([number]) + field(4, b"\x08" + bytes([number])))
        pprof += field(5, b"\x08" + bytes([number]) + b"\x10" + bytes([strings.index(name)]))
    pprof += b"".join(field(6, s.encode()) for s in strings)
    top = json.loads(wick("report", "-", "--json", stdin=pprof).stdout)
    assert top["total"] == 0 and top["whole"] == 10, top
    assert [(f["name"], f["self"]) for f in top["functions"]] == [("a", 5), ("b", -5)]
    text = wick("report", "-", "--tree", stdin=pprof).stdout.decode()
    assert " 50.00%  a" in text and "-50.00%  b" in text, text


@case
def report_says_that_there_is_nothing():
    empty = wick("report", "-", "--raw", stdin=b"a 0\n")
    assert empty.returncode == 0, empty.stderr
    for view in ("--top", "--tree"):
        result = wick("report", "-", view, stdin=b"a 0\n")
        assert result.returncode == 0 and len(result.stdout.splitlines()) == 1, result


@case
def report_raw_carries_every_field():
    with workspace() as folder:
        path = pathlib.Path(folder)
        script = "a b 7 1.5: 3 cycles:\n\t7f1 f (inlined)\n\t7f1 main+0x1 (/x/a.out)\n\n"
        (path / "in").write_text(script)
        text = wick("report", path / "in", "--raw").stdout.decode()
        assert text.splitlines()[2:] == [
            "Samples:",
            "samples/count cycles/count[dflt]",
            "          1          3: 1",
            "                thread_name:[a b] event:[cycles]",
            "                thread_id:[7]",
            "Locations",
            "     1: 0x7f1 M=1 f :0:0 s=0",
            "             main :0:0 s=0",
            "Mappings",
            "1: 0x0/0x0/0x0 /x/a.out  ",
        ], text
        raw = json.loads(wick("report", path / "in", "--raw", "--json").stdout)
        assert [line["name"] for line in raw["locations"][0]["lines"]] == ["f", "main"]
        assert raw["samples"][0]["values"] == [1, 3] and raw["samples"][0]["stack"] == [1]
        assert {"key": "thread_id", "num": 7, "unit": ""} in raw["samples"][0]["labels"]


@case
def color_is_for_terminals_and_names_cannot_fake_it():
    evil = "a\x1b[2J\u0085\u202eb" + "x" * 200
    with workspace() as folder:
        path = pathlib.Path(folder) / "in.folded"
        path.write_text(f"main;{evil} 9\nmain;small 1\n")
        narrow = in_terminal(72, "report", path)
        assert b"\x1b[31m" in narrow and b"\x1b[2J" not in narrow and "\u202e".encode() not in narrow
        plain = re.sub(rb"\x1b\[[0-9;]*m", b"", narrow).decode()
        assert max(map(len, plain.splitlines()[1:])) <= 72 and "..." in plain, plain
        assert b"\x1b" not in in_terminal(72, "report", path, NO_COLOR="1")
        assert b"\x1b" not in in_terminal(72, "report", path, TERM="dumb")
        assert b"\x1b" not in in_terminal(72, "report", path, "--color", "never")
        piped = wick("report", path).stdout
        assert b"\x1b" not in piped and b"a?[2J??b" + b"x" * 200 in piped
        assert b"\x1b[31m" in wick("report", path, "--color", "always").stdout
        path.write_text("github.com/some/where/deep/in/a/tree/pkg.(*Type).Method 1\n")
        assert b"  .../pkg.(*Type).Method\n" in in_terminal(80, "report", path)
        deep = ";".join(f"f{i}" for i in range(300))
        path.write_text(f"{deep} 1\n")
        tree = re.sub(rb"\x1b\[[0-9;]*m", b"", in_terminal(60, "report", path, "--tree")).decode().splitlines()
        assert len(tree) == 302 and max(map(len, tree[2:])) <= 60 and tree[-1].endswith("[299] f299"), tree[-1]


@case
def names_are_shortened_on_request_only():
    name = "std::map<int, std::vector<a::B> >::find(int const&)"
    folded = f"main;{name} 9\nmain;g() 1\n".encode()

    def names(*options):
        rows = json.loads(wick("report", "-", "--json", *options, stdin=folded).stdout)
        return [f["name"] for f in rows.get("functions") or rows["nodes"]]

    assert name in names() and name in names("--shorten", str(len(name)))
    assert "std::map<int, std::vector<...> >::find(int const&)" in names("--shorten", str(len(name) - 1))
    for view in ("--top", "--tree"):
        assert "std::map<...>::find(...)" in names(view, "--shorten", "24"), view
        assert b" std::map<...>::find(...)\n" in wick("report", "-", view, "--shorten", "24", stdin=folded).stdout
    # Names that look the same then are still two functions.
    twins = b"main;f<some::type> 9\nmain;f<other::type> 1\n"
    assert wick("report", "-", "--shorten", "8", stdin=twins).stdout.count(b"f<...>\n") == 2
    assert wick("report", "-", "--shorten", "7", stdin=folded).returncode == 2
    assert wick("report", "-", "--raw", "--shorten", "9", stdin=folded).returncode == 2


run()
