#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""perf_data: what perf record writes, against what perf says of it: stacks,
groups, names, files that have changed since. Usage: perf_data.py BUILD_DIR"""

import json
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import EXAMPLE, WICK, perf, wick, workspace  # pylint: disable=wrong-import-position
from tap import Skip, case, run  # pylint: disable=wrong-import-position


def perf_recorded(path, *arguments):
    """Half a second of an example by perf record, or a skip where it does not work."""
    command = ["timeout", "-s", "INT", "0.7", EXAMPLE]
    try:
        result = perf("record", "-F", "999", "-g", *arguments, "-o", path, "--", *command)
    except FileNotFoundError:
        raise Skip("perf is not installed") from None
    if b"Captured and wrote" not in result.stderr:
        raise Skip("perf record: " + result.stderr.decode().strip()[-200:])


def folded_of(file, folder, *arguments):
    out = pathlib.Path(folder) / "x.folded"
    result = wick("convert", file, out, "--force", *arguments)
    assert result.returncode == 0, result.stderr
    return sorted(out.read_text().splitlines())


def leaves(folded):
    """The innermost frames: with data mappings recorded (-d), perf script names
    what a broken chain of frame pointers finds in them, and we do not."""
    return sorted(line.rpartition(";")[2] for line in folded)


@case
def perf_data_says_what_perf_script_says():
    with workspace() as folder:
        path = pathlib.Path(folder)
        for name, events, more in (
            ("plain", ["cpu-clock"], []),
            ("two", ["task-clock", "page-faults"], []),
            ("packed", ["cpu-clock", "context-switches"], ["-z"]),
            ("ids", ["cpu-clock"], ["--buildid-mmap"]),
            ("dwarf", ["cpu-clock"], ["--call-graph", "fp", "-d", "-T", "-W"]),
        ):
            file = path / name
            perf_recorded(file, *more, *(word for event in events for word in ("-e", event)))
            told = leaves if "-d" in more else sorted
            script = perf("script", "-i", file, "-F", "comm,pid,tid,time,event,period,ip,dso").stdout
            (path / "script").write_bytes(script)
            for kind in ["samples", *events]:
                ours = folded_of(file, folder, "--type", kind, "--no-symbols")
                theirs = folded_of(path / "script", folder, "--type", kind)
                assert told(ours) == told(theirs), (name, kind, set(ours) ^ set(theirs))
            for fields in ("comm,pid,tid,misc,time,event,period,ip,dso", "comm,tid,misc,event,period,ip,dso"):
                (path / "misc").write_bytes(perf("script", "-i", file, "-F", fields).stdout)
                theirs = folded_of(path / "misc", folder, "--type", kind)
                assert told(ours) == told(theirs), (name, fields, set(ours) ^ set(theirs))


@case
def perf_data_says_of_groups_what_perf_script_says():
    with workspace() as folder:
        file, script = pathlib.Path(folder) / "x", pathlib.Path(folder) / "script"
        events = ["cpu-clock", "page-faults", "context-switches"]
        # Groups are not inherited: the example itself is what perf starts.
        try:
            result = perf("record", "-F", "999", "-g", "-e", "{" + ",".join(events) + "}:S", "-o", file, "--", EXAMPLE, "0.5")
        except FileNotFoundError:
            raise Skip("perf is not installed") from None
        if b"Captured and wrote" not in result.stderr:
            raise Skip("perf record: " + result.stderr.decode().strip()[-200:])
        script.write_bytes(perf("script", "-i", file, "-F", "comm,pid,tid,time,event,period,ip,dso").stdout)
        for kind in ["samples", *events]:
            ours = folded_of(file, folder, "--type", kind, "--no-symbols")
            assert ours == folded_of(script, folder, "--type", kind), kind
        assert folded_of(file, folder, "--type", "page-faults", "--no-symbols")


@case
def perf_data_with_user_stacks_is_warned_of():
    with workspace() as folder:
        file, out = pathlib.Path(folder) / "x", pathlib.Path(folder) / "x.pb"
        perf_recorded(file, "-e", "cpu-clock:u", "--call-graph", "dwarf,1024")
        result = wick("convert", file, out, "--no-symbols")
        assert result.returncode == 0 and b"which are not unwound" in result.stderr, result
        assert b"`perf script` unwinds them" in wick("report", out, "--raw").stdout
        fp = pathlib.Path(folder) / "fp"
        perf_recorded(fp, "-e", "cpu-clock:u")
        assert b"unwound" not in wick("report", fp).stderr


def names_by_perf(file):
    """Shares by symbol as perf report says them: "59.60%  [.] parse_request"."""
    report = perf("report", "-i", file, "--stdio", "-F", "overhead,sym", "--no-children", "-g", "none")
    named = re.findall(r"([0-9.]+)%\s+\[[.k]\] (\w+)\s*$", report.stdout.decode(), re.M)
    shares = {}
    for share, name in named:
        if not name.startswith("0x"):
            shares.setdefault(name, []).append(float(share))
    return shares


def kernel_aliases():
    """Names of kernel functions that share an address: either tool may pick any."""
    at = {}
    for line in pathlib.Path("/proc/kallsyms").read_text(encoding="utf-8").splitlines():
        address, kind, name = line.split()[:3]
        if kind in "tTwW" and int(address, 16):
            at.setdefault(address, set()).add(name)
    return {name: names for names in at.values() if len(names) > 1 for name in names}


def assert_names_of_perf(file, *wanted):
    theirs = names_by_perf(file)
    # What is inlined counts for the function it is in, there.
    result = wick("report", file, "--json", "--top", "1000", "--no-dwarf")
    top = json.loads(result.stdout)
    ours = {}
    for f in top["functions"]:
        ours[f["name"]] = ours.get(f["name"], 0) + 100 * f["self"] / top["total"]
    assert len(theirs) >= 3 and all(name in ours for name in wanted), (theirs, ours)
    aliases = kernel_aliases()
    for name, shares in theirs.items():
        if max(shares) > 1:
            mine = sum(ours.get(also, 0) for also in aliases.get(name, {name}))
            assert abs(mine - sum(shares)) < 0.02 * len(shares), (name, shares, ours)
    return result.stderr.decode()


@case
def perf_data_gets_the_names_of_this_machine():
    with workspace() as folder:
        file = pathlib.Path(folder) / "x"
        perf_recorded(file, "-e", "cpu-clock:u")
        assert "example-fp" not in assert_names_of_perf(file, "parse_request")
        # perf record notes no build ids there: the files are older than the recording.
        for option in ("-z", "-B"):
            perf_recorded(file, "-e", "cpu-clock:u", option)
            said = assert_names_of_perf(file, "parse_request")
            assert said.count("without a recorded build id are named by this machine's") == 1, said


@case
def perf_data_names_the_kernel_like_perf():
    with workspace() as folder:
        file = pathlib.Path(folder) / "x"
        command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=400000"]
        try:
            perf("record", "-F", "1999", "-g", "-e", "cpu-clock", "-o", file, "--", *command)
        except FileNotFoundError:
            raise Skip("perf is not installed") from None
        if not file.exists() or "vfs_read" not in names_by_perf(file):
            raise Skip("perf does not name kernel functions here")
        assert_names_of_perf(file, "vfs_read", "vfs_write")


@case
def a_file_that_changed_since_names_nothing():
    with workspace() as folder:
        path = pathlib.Path(folder)
        copy, file = path / "program", path / "x"
        copy.write_bytes(pathlib.Path(EXAMPLE).read_bytes())
        copy.chmod(0o755)
        try:
            perf("record", "-B", "-F", "999", "-g", "-e", "cpu-clock:u", "-o", file, "--", "timeout", "-s", "INT", "0.7", copy)
        except FileNotFoundError:
            raise Skip("perf is not installed") from None
        if not file.exists():
            raise Skip("perf record does not work here")
        assert b"parse_request" in wick("report", file).stdout
        # From a pipe nothing tells when it was recorded.
        piped = wick("report", "-", stdin=file.read_bytes())
        assert b"parse_request" not in piped.stdout and b"not known to be older" in piped.stderr, piped
        # Put in the place of what ran, with its old time.
        other = path / "other"
        shutil.copy2(copy, other)
        other.replace(copy)
        result = wick("report", file)
        assert b"parse_request" not in result.stdout and b"not known to be older" in result.stderr, result


@case
def perf_data_of_another_binary_stays_addresses():
    with workspace() as folder:
        path = pathlib.Path(folder)
        copy = path / "program"
        copy.write_bytes(pathlib.Path(EXAMPLE).read_bytes())
        copy.chmod(0o755)
        command = ["timeout", "-s", "INT", "0.7", copy]
        try:
            perf("record", "-F", "999", "-g", "-e", "cpu-clock:u", "-o", path / "x", "--", *command)
        except FileNotFoundError:
            raise Skip("perf is not installed") from None
        if not (path / "x").exists():
            raise Skip("perf record does not work here")
        assert b"parse_request" in wick("report", path / "x").stdout
        copy.unlink()
        copy.write_bytes(pathlib.Path(WICK).read_bytes())
        result = wick("report", path / "x")
        assert b"parse_request" not in result.stdout and b"program+0x" in result.stdout
        assert b"another build id" in result.stderr, result.stderr
        copy.unlink()
        assert b"is not there" in wick("report", path / "x").stderr
        assert not wick("report", path / "x", "--no-symbols").stderr


run()
