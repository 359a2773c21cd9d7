#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""filter_oracle: filters mean what they mean in google/pprof. A profile filtered by
wick and printed by pprof has the stacks, labels and values of the profile that pprof
filters itself. Usage: filter_oracle.py BUILD_DIR

With show_from, stacks are not compared: pprof also takes the callers of an inlined
match out of its location where that stands below another match (docs/query.md)."""

import collections
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
DATA = pathlib.Path(__file__).resolve().parent.parent.parent.parent / "shared" / "data" / "pprof"
SEPARATOR = re.compile(r"^-+\+-+$", re.M)

# wick's name of the term -> pprof's.
OPTIONS = {"tag": "tagfocus", "tag-ignore": "tagignore", "show-from": "show_from"}

FILTERS = {
    "profile-with-labels.pb.gz": [
        {"focus": "mallocgc"},
        {"focus": "^runtime\\.", "ignore": "mallocgc|gcBgMark"},
        {"hide": "^runtime\\."},
        {"focus": "malloc", "hide": "\\.go$"},
        {"show": "parca|frostdb"},
        {"show": "parca", "hide": "Ingest"},
        {"show-from": "frostdb"},
        {"show-from": "Ingest", "hide": "^runtime"},
        {"ignore": "vdso|badger"},
        {"tag": "thread_id=^2764734$,6$"},
        {"tag-ignore": "thread_id:27561", "focus": "runtime"},
        {"tag": "thread_name:par"},
    ],
    "pyroscope-heap.pb.gz": [
        {"focus": "grpc"},
        {"ignore": "loki", "hide": "runtime"},
        {"tag": "bytes=1kb"},
        {"tag": "bytes=1kb:1mb", "focus": "proto"},
        {"tag": ":64b"},
        {"tag-ignore": "bytes=96b:"},
        {"show-from": "(?i)decode"},
    ],
    "pyspy-1.pb.gz": [
        {"tag": "function=fast"},
        {"tag": "function=fa,sl"},
        {"tag-ignore": "function=^slow$"},
        {"hide": "work"},
        {"focus": "\\.py$"},
    ],
    "java.heap": [{"tag": "bytes=1kb:"}, {"tag-ignore": "bytes=:100b", "focus": "function0"}, {"show": "function02b"}],
    "cppbench.cpu": [{"focus": "[0-9a-f]"}, {"ignore": "libc"}],
    "fgprof.pb.gz": [{"focus": "http"}, {"ignore": "gopark"}, {"show-from": "main"}],
    "large.cpu": [{"focus": "time.now", "hide": "^runtime"}, {"ignore": "next$"}, {"show-from": "main.next"}],
}


def pprof(path, **options):
    """{(labels, stack): value} of the default type, as pprof prints it."""
    words = [f"-{OPTIONS.get(name, name)}={value}" for name, value in options.items()]
    result = subprocess.run(["go", "tool", "pprof", "-symbolize=none", "-traces", *words, path], capture_output=True,
                            text=True, timeout=120, check=True)
    stacks = collections.Counter()
    for block in SEPARATOR.split(result.stdout)[1:]:
        labels, frames, value = [], [], None
        for line in block.strip("\n").splitlines():
            match = re.match(r"^ *(-?[\d.]+\w*)   (.*)$", line)
            if value is None and match and not re.match(r"^ *\S+: ", line):
                value = match[1]
                frames.append(match[2])
            elif value is None:
                labels.append(line.strip())
            else:
                frames.append(line.strip())
        if value is not None:
            stacks[(tuple(sorted(labels)), tuple(frames), value)] += 1
    return stacks


def without_frames(stacks):
    """Sums by labels: of what show_from left."""
    left = collections.Counter()
    for (labels, _, value), count in stacks.items():
        left[(labels, value)] += count
    return left


def compare(name):
    if not shutil.which("go"):
        raise Skip("go is not here")
    if not (DATA / name).exists():
        raise Skip("../shared/data is not here")
    with tempfile.TemporaryDirectory(prefix="wick-filter-") as folder:
        for number, options in enumerate(FILTERS[name]):
            out = os.path.join(folder, f"{number}.pb.gz")
            words = [word for option, value in options.items() for word in (f"--{option}", value)]
            subprocess.run([WICK, "convert", DATA / name, out, *words], check=True, timeout=60)
            ours, theirs = pprof(out), pprof(DATA / name, **options)
            assert theirs, (options, "chooses nothing: no test")
            if "show-from" in options:
                ours, theirs = without_frames(ours), without_frames(theirs)
            assert ours == theirs, (options, "only wick", list((ours - theirs).items())[:3], "only pprof",
                                    list((theirs - ours).items())[:3])


for profile in FILTERS:
    check = lambda name=profile: compare(name)  # noqa: E731
    check.__name__ = "filters_of_" + re.sub(r"\W", "_", profile)
    case(check)

run()
