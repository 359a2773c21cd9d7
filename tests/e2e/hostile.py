#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hostile: programs that make it hard to say what runs: names and stacks stay
right, what is not known has a reason, nothing grows. Usage: hostile.py
BUILD_DIR"""

import os
import pathlib
import re
import resource
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from stacks import (  # pylint: disable=wrong-import-position
    FOLDER,
    NOFP,
    SOURCES,
    WICK,
    build,
    ends,
    noise,
    record,
    stacks_of,
    total_of,
)
from tap import Skip, case, measured, run  # pylint: disable=wrong-import-position

MEMORY_MAX = 96 << 20  # of `wick record`, with its unwind tables


def twins(source, *flags, word):
    """The same program twice: same addresses, other names, other frames."""
    return [
        build(name, "gcc", SOURCES / source, "-O2", *NOFP, *flags, f"-D{word}={name}", f"-DROOM={room}", f"-DWORK_S={work}")
        for name, room, work in (("alpha", 40, 0.01), ("beta", 200, 0.03))
    ]


def assert_unmixed(stacks, callers):
    """Neither is in the other's stacks. Returns the share of beta, which works three times as long."""
    found = {"alpha": 0, "beta": 0}
    for stack, weight in stacks:
        whose = {name for name in found for frame in stack if frame.startswith(name + "_")}
        assert len(whose) <= 1, stack
        for name in whose:
            found[name] += weight
            inner = stack.index(f"{name}_inner") if f"{name}_inner" in stack else 0
            if inner and not stack[0].startswith("[incomplete"):
                wanted = [caller.format(name) for caller in callers]
                assert stack[inner - len(wanted) : inner] == wanted, stack
    share = found["beta"] / sum(found.values())
    print(f"# beta {100 * share:.1f} % of {sum(found.values()) / 1e9:.2f} s, {ends(stacks)}")
    assert min(found.values()) > 0, found
    return share


@case
@measured
def one_pid_for_many_programs():
    programs = twins("instance.c", "-no-pie", word="INSTANCE")
    program = build("reuse", "gcc", SOURCES / "reuse.c", "-O2")
    for _ in range(5):
        profile = FOLDER / "x.pb.gz"
        command = [WICK, "record", "-F", "463", "-o", profile, "--force", "--", program, *programs, "4"]
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
        if result.returncode == 5:
            raise Skip("no sampling here: " + result.stderr.strip()[-200:])
        if "clone3" in result.stderr:
            raise Skip(result.stderr.strip()[-200:])
        runs = re.search(r"^(\d+) runs", result.stdout, re.M)
        if runs:  # else somebody took the pid in between
            break
    else:
        raise Skip("other programs take the pid")
    assert int(runs[1]) > 20, runs[0]
    stacks = stacks_of(profile)
    share = assert_unmixed(stacks, ["main", "{}_outer", "{}_middle"])
    assert abs(share - 0.75) < 0.05 + noise(0.75, stacks), share
    assert ends(stacks).get("root", 0) > 0.5 * total_of(stacks), ends(stacks)


@case
def libraries_that_are_gone_when_they_are_looked_at():
    if os.geteuid() != 0:
        raise Skip("files that have no name any more are opened by root alone")
    libraries = twins("plugin.c", "-shared", "-fPIC", word="PLUGIN")
    program = build("plugins", "gcc", SOURCES / "plugins.c", "-O2", *NOFP, "-ldl")
    stacks, _ = record(program, "--unlinked", *libraries, "4")
    # A library is gone again before much is known of it: shares are not to be had.
    assert_unmixed(stacks, ["main", "work", "{}_middle"])


@case
def tens_of_thousands_of_mappings():
    most = int(pathlib.Path("/proc/sys/vm/max_map_count").read_text())
    n = min(100000, most // 2 - 100)
    program = build("mappings", "gcc", SOURCES / "mappings.c", "-O2", *NOFP)
    stacks, _ = record(program, n, "4")
    functions = {frame for stack, _ in stacks for frame in stack if frame in ("inner", "middle", "main")}
    assert functions == {"inner", "middle", "main"}, functions
    for stack, _ in stacks:
        if "inner" in stack:
            at = stack.index("inner")
            assert stack[at - 1] in ("middle",) or stack[at - 1].startswith("[incomplete"), stack
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    print(f"# {n} mappings, {ends(stacks)}, at most {peak >> 20} MiB")
    assert peak < MEMORY_MAX, peak
    assert ends(stacks).get("root", 0) > 0.9 * total_of(stacks, lambda stack: "main" in stack), ends(stacks)


run()
