#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""raw_oracle: `wick report --raw` carries the facts that google/pprof prints of
the same profile: its own text beside the older forms, and what `go tool pprof
-raw` says where Go is. Ids are free, so locations and mappings are compared by
what they hold, and equal samples are summed. Usage: raw_oracle.py BUILD_DIR"""

import collections
import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import Skip, case, run  # noqa: E402

WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "pprof"
LABEL = re.compile(r"(\S.*?):\[(.*?)\](?= \S|$)")


def lines_of(text):
    """Sections of the text, by heading."""
    sections = {"head": [], "Samples:": [], "Locations": [], "Mappings": []}
    at = "head"
    for line in text.split("\n"):
        if line in sections:
            at = line
        elif line:
            sections[at].append(line)
    return sections


def head_of(lines):
    head = {"Comment": []}
    for line in lines:
        key, _, value = line.partition(": ")
        value = value.strip()
        if key == "Comment":
            head[key].append(value)
        elif key == "Time":
            date, fraction = re.match(r"([-\d]+ [\d:]+)\.?(\d*)", value).groups()
            head[key] = date, fraction.ljust(9, "0")
        elif key == "Duration":
            head[key] = go_duration(value)
        elif value:
            head[key] = value
    return head


def go_duration(text):
    """pprof prints the first four characters of what Go makes of a duration."""
    if not text.endswith(" ns"):
        return text
    ns = int(text[:-3])
    for unit, size in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
        if size <= ns < 1_000_000_000:
            whole, fraction = divmod(ns, size)
            return (str(whole) + f".{fraction:09d}".rstrip("0").rstrip(".") + unit)[:4]
    seconds, fraction = divmod(ns, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    out = f"{hours}h" if hours else ""
    out += f"{minutes}m" if hours or minutes else ""
    out += f"{seconds}" + f".{fraction:09d}".rstrip("0").rstrip(".") + "s"
    return out[:4]


def mappings_of(lines):
    out = {}
    for line in lines:
        number, _, rest = line.partition(": ")
        # pprof makes one up for profiles that have none.
        if rest.split() != ["0x0/0x0/0x0"]:
            out[number.strip()] = " ".join(rest.split())
    return out


def locations_of(lines, mappings):
    """By number: address, mapping, flag, function lines."""
    out, number = {}, None
    for line in lines:
        start = re.match(r" *(\d+): (0x[0-9a-f]+) ?(?:M=(\d+) ?)?(\[F\] ?)?(.*)$", line)
        if start:
            number, address, mapping, folded, rest = start.groups()
            out[number] = [address, mappings.get(mapping), bool(folded)]
        else:
            rest = line
        # pprof prints an empty system name as "()".
        rest = re.sub(r"\(\)$", "", rest.strip())
        if rest:
            out[number].append(rest)
    return {number: tuple(facts) for number, facts in out.items()}


def labels_of(line):
    out = []
    for key, value in LABEL.findall(line.strip()):
        out.append((key, value))
    return out


def samples_of(lines, locations):
    """{ (locations, labels): summed values }; samples of nothing but 0 do not count."""
    rows = []
    for line in lines[1:]:
        if re.match(r" {16}\S", line):
            rows[-1][2].extend(labels_of(line))
            continue
        values, _, stack = line.partition(":")
        rows.append(([int(v) for v in values.split()], [locations[n] for n in stack.split()], []))
    out = {}
    for values, stack, labels in rows:
        if not any(values):
            continue
        # One key with several values is "key:[a b]" there, two labels here.
        merged = collections.defaultdict(list)
        for key, value in labels:
            merged[key].extend(value.split(" "))
        key = tuple(stack), tuple(sorted((k, tuple(sorted(v))) for k, v in merged.items()))
        out[key] = [a + b for a, b in zip(out.get(key, [0] * len(values)), values)]
    return {key: values for key, values in out.items() if any(values)}


def facts_of(text):
    # wick prints no control characters.
    parts = lines_of(re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", "?", text))
    mappings = mappings_of(parts["Mappings"])
    locations = locations_of(parts["Locations"], mappings)
    return {
        "head": head_of(parts["head"]),
        "types": parts["Samples:"][0].split() if parts["Samples:"] else [],
        "samples": samples_of(parts["Samples:"], locations),
        "mappings": sorted(mappings.values()),
    }


def wick_raw(path):
    result = subprocess.run([WICK, "report", "--raw", path], capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, (path, result.stderr)
    return facts_of(result.stdout.decode())


def first_difference(name, ours, theirs):
    assert ours["head"] == theirs["head"], (name, ours["head"], theirs["head"])
    assert ours["types"] == theirs["types"], (name, ours["types"], theirs["types"])
    for key, values in theirs["samples"].items():
        assert key in ours["samples"], f"{name}: lost {key} = {values}"
        assert ours["samples"][key] == values, (name, key, ours["samples"][key], values)
    for key, values in ours["samples"].items():
        assert key in theirs["samples"], f"{name}: invented {key} = {values}"


@case
def the_text_beside_the_older_forms():
    texts = sorted(DATA.glob("*.string"))
    if not texts:
        raise Skip("../shared/data/pprof is not there")
    for text in texts:
        ours, theirs = wick_raw(text.with_suffix("")), facts_of(text.read_text())
        first_difference(text.name, ours, theirs)
        assert ours["mappings"] == theirs["mappings"], (text.name, ours["mappings"], theirs["mappings"])
    print(f"# {len(texts)} texts")


def go_raw(path):
    """None: go tool pprof does not read it; the text says why."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        raise Skip("Go is not here")
    result = subprocess.run(
        [go, "tool", "pprof", "-raw", "-symbolize=none", path],
        capture_output=True,
        check=False,
        timeout=300,
        env={**os.environ, "TZ": "UTC", "PPROF_TMPDIR": tempfile.gettempdir()},
    )
    if result.returncode:
        return None, result.stderr.decode().splitlines()[0]
    return facts_of(result.stdout.decode()), ""


def compare_with_go(paths):
    n = 0
    for path in paths:
        theirs, why = go_raw(path)
        if theirs is None:
            print(f"# skip: {why}")
            continue
        ours = wick_raw(path)
        for facts in (ours["head"], theirs["head"]):
            # pprof applies them and prints none of them.
            facts.pop("DropFrames", None)
            facts.pop("KeepFrames", None)
        first_difference(path.name, ours, theirs)
        # pprof leaves out mappings that no location refers to.
        assert not set(theirs["mappings"]) - set(ours["mappings"]), (path.name, theirs["mappings"], ours["mappings"])
        n += 1
    print(f"# {n} files")


@case
def what_go_says_of_every_profile():
    paths = [p for p in sorted(DATA.rglob("*")) if p.is_file() and p.suffix != ".string"]
    if not paths:
        raise Skip("../shared/data/pprof is not there")
    compare_with_go(paths)


def field(number, payload):
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def every_field():
    """A profile that uses all of profile.proto, and wick's own field of locations, which others skip."""
    strings = ["", "cpu", "ns", "n", "count", "f", "_Zf", "f.c", "g", "g.c", "/bin/x y", "abc1", "key", "v 1", "v2"]
    strings += ["num", "kb", "hello there", "http://x/", "other", "plain"]
    text = strings.index
    out = field(1, field(1, text("cpu")) + field(2, text("ns"))) + field(1, field(1, text("n")) + field(2, text("count")))
    labels = field(3, field(1, text("key")) + field(2, text("v2"))) + field(3, field(1, text("key")) + field(2, text("v 1")))
    labels += field(3, field(1, text("num")) + field(3, -5) + field(4, text("kb")))
    labels += field(3, field(1, text("plain")) + field(3, 7))
    out += field(2, field(1, varint(900) + varint(1 << 60)) + field(2, varint(-4) + varint(1)) + labels)
    out += field(2, field(1, varint(7)) + field(2, varint(5) + varint(2)))
    out += field(3, b"".join(field(n, v) for n, v in enumerate(
        (3, 0x400000, 0x500000, 0x1000, text("/bin/x y"), text("abc1"), 1, 0, 1, 1), 1)))
    lines = field(4, field(1, 1) + field(2, 12) + field(3, 4)) + field(4, field(1, 2) + field(2, 30))
    out += field(4, field(1, 900) + field(2, 3) + field(3, 0x400123) + lines + field(5, 1))
    out += field(4, field(1, 1 << 60) + field(3, 1 << 63))
    out += field(4, field(1, 7) + field(2, 3) + field(3, 0x400200) + field(4, field(1, 2) + field(2, 31)) + field(127, 4))
    out += field(5, b"".join(field(n, v) for n, v in enumerate((1, text("f"), text("_Zf"), text("f.c"), 10), 1)))
    out += field(5, b"".join(field(n, v) for n, v in enumerate((2, text("g"), text("g"), text("g.c"), 28), 1)))
    out += b"".join(field(6, s.encode()) for s in strings)
    out += field(9, 1_700_000_000_123_456_789) + field(10, 61_500_000_000)
    out += field(11, field(1, text("cpu")) + field(2, text("ns"))) + field(12, 10_000_000)
    return out + field(13, text("hello there")) + field(14, text("n")) + field(15, text("http://x/"))


@case
def every_field_of_the_format():
    with tempfile.TemporaryDirectory(prefix="wick-raw-") as folder:
        path = pathlib.Path(folder) / "all.pb.gz"
        path.write_bytes(gzip.compress(every_field()))
        compare_with_go([path])


if __name__ == "__main__":
    run()
