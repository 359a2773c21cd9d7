#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bad_input: files that are something else, cut off, too large or made to harm:
named, limited, salvaged when asked. Usage: bad_input.py BUILD_DIR"""

import gzip
import os
import pathlib
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import FOLDED, TESTS, WICK, refused, wick, workspace  # pylint: disable=wrong-import-position
from tap import case, run  # pylint: disable=wrong-import-position


@case
def wrong_input_is_named():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        (path / "empty.pb").write_bytes(b"")
        whole = path / "whole.pb"
        (path / "in.folded").write_text(FOLDED)
        assert wick("convert", path / "in.folded", whole).returncode == 0
        (path / "cut.pb").write_bytes(whole.read_bytes()[:-7])
        (path / "cut.pb.gz").write_bytes(gzip.compress(whole.read_bytes())[:-9])
        refused(wick("report", path / "a.png"), 3, "a.png", "PNG")
        refused(wick("report", path / "empty.pb"), 3, "empty.pb", "empty")
        refused(wick("report", path / "cut.pb"), 3, "cut.pb")
        refused(wick("report", path / "cut.pb.gz"), 3, "cut.pb.gz")
        refused(wick("report", path / "absent"), 1, "absent", "No such file")
        refused(wick("report", folder), 1, "directory")
        refused(wick("report", "-", "--type", "heap", stdin=FOLDED.encode()), 1, "-: no sample type", "samples:count")
        refused(wick("convert", path / "in.folded", path / "x.svg", "--type", "heap"), 1, "in.folded: no sample type")
        refused(wick("merge", path / "in.folded", "-o", path / "x.svg", "--type", "heap"), 1, "in.folded: no sample")


@case
def limits_are_set_by_options():
    script = "a 7 1.5: 3 cycles:\n\t7f1 f (/x)\n\t7f2 g (/x)\n\n" * 3
    for option, value, word in (
        ("--max-input", "20", "20"),
        ("--max-samples", "2", "more than 2 samples"),
        ("--max-depth", "1", "more than 1 frames"),
        ("--max-locations", "1", "more than 1 different frames"),
        ("--max-memory", "1k", "memory"),
    ):
        refused(wick("report", "-", option, value, stdin=script.encode()), 4, word)
    refused(wick("report", "-", "--max-strings", "2", stdin=script.encode()), 4, "more than 2 strings")
    with workspace() as folder:
        for to in ("pb", "otlp", "folded", "speedscope.json", "flamebearer.json"):
            out = os.path.join(folder, "x")
            assert wick("convert", "-", out, "--to", to, "--force", stdin=FOLDED.encode()).returncode == 0
            refused(wick("report", out, "--max-strings", "2"), 4, "more than 2 strings")
            refused(wick("report", out, "--max-locations", "2"), 4, "more than 2 ")
    packed = gzip.compress(script.encode() * 1000)
    refused(wick("report", "-", "--max-inflated", "10k", stdin=packed), 4, "10240")
    for value in ("", "x", "1x", "-1", "0", "99999999999999999999g"):
        refused(wick("report", "-", "--max-input", value, stdin=b""), 2, "--max-input", "512m")
    assert wick("report", "-", "--max-input", "1m", stdin=script.encode()).returncode == 0
    assert wick("merge", "-o", "-", "--max-depth", "0", "-").returncode == 2


@case
def half_files_are_salvaged_when_asked():
    script = "a 7 1.5: 3 cycles:\n\t7f1 f (/x)\n\na 7 1.6: 4 cycles:\n\t7f1 f"
    half = gzip.compress(script.encode() * 100)[:-20]
    with workspace() as folder:
        path = pathlib.Path(folder)
        out = path / "out.pb"
        for data in (FOLDED.encode()[:-4], script.encode(), half):
            result = wick("convert", "-", out, "--salvage", "--force", stdin=data)
            assert result.returncode == 0 and b"salvaged: " in result.stderr, result.stderr
            assert b"salvaged: " in out.read_bytes()
        refused(wick("report", "-", stdin=half), 3, f"perf script: ends at byte {len(half)} (", "; --salvage keeps")
        whole = wick("convert", "-", out, "--salvage", "--force", stdin=FOLDED.encode())
        assert whole.returncode == 0 and not whole.stderr and b"salvaged" not in out.read_bytes()


SEEDS = TESTS / "seeds"


@case
def every_half_file_says_where_it_ends_and_what_is_kept():
    """Whatever the format: what is promised without --salvage is what it does."""
    inputs = {f"seeds/{name}": (SEEDS / name).read_bytes() for name in (
        "callgrind/calls", "flamebearer/single", "folded/lines", "gperf/cpu64", "gperf/heap", "gperf/java", "otlp/v1.10",
        "otlp/v1.7", "perfdata/file", "perfdata/compressed", "perfscript/lines", "pprof/everything", "pprof/everything-gz",
        "speedscope/evented", "speedscope/sampled", "v8/cpu", "v8/heap")}
    for to in ("pb", "pb.gz", "otlp", "otlp.gz", "speedscope.json", "flamebearer.json", "callgrind"):
        inputs[to] = wick("convert", "-", "-", "--to", to, stdin=FOLDED.encode()).stdout
    lost = set()
    for name, data in inputs.items():
        # Half a number is one, and half a tracepoint's text: these are cut before.
        half = data[:{"folded/lines": -20, "perfscript/lines": -60}.get(name.removeprefix("seeds/"), -3)]
        said = wick("report", "-", stdin=half)
        refused(said, 3)
        text = said.stderr.decode()
        assert re.search(r"ends (in the middle of .*, )?at byte \d+", text), (name, text)
        promises = re.search(r"after \d+ samples?; --salvage keeps", text)
        assert promises or "; nothing can be kept: " in text, (name, text)
        result = wick("report", "-", "--salvage", stdin=half)
        assert result.returncode == (0 if promises else 3), (name, text, result.stderr)
        assert not promises or b": salvaged: ends " in result.stderr, (name, result.stderr)
        if not promises:
            lost.add(name)
    assert lost == {"speedscope.json", "flamebearer.json", "seeds/speedscope/evented", "seeds/speedscope/sampled",
                    "seeds/flamebearer/single", "seeds/v8/cpu", "seeds/v8/heap"}


@case
def half_a_pprof_file_is_salvaged():
    with workspace() as folder:
        path = pathlib.Path(folder)
        whole, out = path / "whole.pb", path / "out.pb"
        assert wick("convert", "-", whole, stdin=FOLDED.encode()).returncode == 0
        data = whole.read_bytes()
        half = data[:-8]
        ends = f"ends in the middle of string 7, at byte {len(half)}, after 3 samples"
        refused(wick("report", "-", stdin=half), 3, f"pprof: {ends}; --salvage keeps them")
        packed = gzip.compress(data)[:-4]
        refused(wick("report", "-", stdin=packed), 3,
                f"ends at byte {len(packed)} ({len(data)} decompressed), after 3 samples; --salvage keeps them")
        result = wick("convert", "-", out, "--salvage", stdin=half)
        assert result.returncode == 0, result.stderr
        assert result.stderr.decode().endswith(f"salvaged: {ends}; lost: 1 frame names\n"), result.stderr
        result = wick("report", "-", "--salvage", stdin=packed)
        assert result.returncode == 0 and b"100" in result.stdout, result.stderr
        assert b"decompressed), after 3 samples\n" in result.stderr, result.stderr
        result = wick("report", "-", "--salvage", stdin=data[: len(data) // 3])
        refused(result, 3, "nothing can be kept: its", "missing")


# A child's peak counts from before its exec, when its memory is still that of
# the process that made it: only a small parent can tell.
SMALL_PARENT = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
print(child.returncode, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)
"""


def peak_of(*arguments):
    """Exit status, stderr, peak memory in MiB and CPU seconds of one run."""
    result = subprocess.run(
        [sys.executable, "-S", "-c", SMALL_PARENT, WICK, *arguments], capture_output=True, timeout=60, check=True
    )
    status, peak, seconds = result.stdout.split()
    return int(status), result.stderr.decode(), float(peak), float(seconds)


@case
def bombs_and_huge_lengths_cost_little():
    huge = b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"  # 2^63 - 1 as varint
    head = b"PERFILE2" + struct.pack("<QQQQQQ", 104, 128, 104, 1 << 63, 1 << 62, 1 << 63) + bytes(48)
    inputs = {
        "bomb.gz": gzip.compress(bytes(100 << 20)),
        "nested.gz": gzip.compress(gzip.compress(bytes(100 << 20))),
        "sample": b"\x0a\x04\x08\x01\x10\x02\x12" + huge,
        "string": b"\x0a\x04\x08\x01\x10\x02\x32" + huge,
        "perf.data": head,
        "pipe.data": b"PERFILE2" + struct.pack("<QIHH", 16, 64, 0, 24) + struct.pack("<IIQ", 0, 0xFFFFFFFF, 0),
        "gperf": struct.pack("<QQQQQ", 0, 3, 0, 10000, 0) + struct.pack("<QQ", 1, 1 << 63),
    }
    with workspace() as folder:
        for name, data in inputs.items():
            file = pathlib.Path(folder) / name
            file.write_bytes(data)
            status, said, peak, seconds = peak_of("report", file)
            assert status in (3, 4) and name in said, (name, status, said)
            assert peak < 64, (name, peak)
            assert seconds < 2, (name, seconds)


run()
