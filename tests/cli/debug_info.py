#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""debug_info: lines and inlined functions from debug information, against
addr2line, and names without it. Usage: debug_info.py BUILD_DIR"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import WICK, perf, recorded, refused, shares, wick, workspace  # pylint: disable=wrong-import-position
from tap import Skip, case, run  # pylint: disable=wrong-import-position

BUSY = """
#include <stdio.h>
#include <stdint.h>
#include <time.h>
static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	return x ^ x >> 29;
}
static inline uint64_t round_of(uint64_t x)
{
	for (int i = 0; i < 1000; i++)
		x = mix(x + i);
	return x;
}
__attribute__((noinline)) uint64_t spin(uint64_t x)
{
	struct timespec t;
	do {
		for (int i = 0; i < 1000; i++)
			x += round_of(x);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	} while (t.tv_sec < 1);
	return x;
}
int main(int argc, char **argv)
{
	return printf("%llu\\n", (unsigned long long)spin(argc)) < 0;
}
"""


def busy_program(folder):
    """A second of CPU in functions that are inlined, with debug information."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Skip("no C compiler here")
    (folder / "busy.c").write_text(BUSY)
    options = ["-O2", "-g", "-fno-omit-frame-pointer", "-Wl,--build-id"]
    subprocess.run([compiler, *options, "busy.c", "-o", "busy"], cwd=folder, check=True)
    return folder / "busy"


def chains_by_addr2line(program, addresses):
    """{address: [(function, file, line)]}, innermost first."""
    if not shutil.which("addr2line"):
        raise Skip("no addr2line here")
    command = ["addr2line", "-a", "-i", "-f", "-C", "-e", program, *addresses]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    chains = {}
    for at, line in enumerate(lines):
        if line.startswith("0x"):
            chain = chains.setdefault(int(line, 16), [])
            pairs = iter(lines[at + 1:])
            for name in pairs:
                if name.startswith("0x"):
                    break
                file, number = re.sub(r" \(discriminator.*", "", next(pairs)).rsplit(":", 1)
                chain.append((name, os.path.normpath(file), int(number) if number.isdigit() else 0))
    return chains


def chains_of(file, program):
    """The same of what `wick report --raw` says of the program's locations."""
    raw = json.loads(wick("report", file, "--raw", "--json").stdout)
    ids = {m["id"] for m in raw["mappings"] if m["file"] == str(program)}
    return {
        int(l["address"], 16): [(i["name"], os.path.normpath(i["file"]), i["line"]) for i in l["lines"]]
        for l in raw["locations"]
        if l["mapping"] in ids
    }


@case
def a_recording_has_lines_and_inlined_functions():
    with workspace() as folder:
        path = pathlib.Path(folder)
        program = busy_program(path)
        assert recorded(path / "x.pb.gz", "--", program).returncode == 0
        ours = chains_of(path / "x.pb.gz", program)
        theirs = chains_by_addr2line(program, [hex(a) for a in ours])
        lined = {a: c for a, c in ours.items() if c and c[0][2]}
        assert [n for n, _, _ in max(lined.values(), key=len)] == ["mix", "round_of", "spin"], lined
        for address, chain in lined.items():
            assert chain == theirs[address], (hex(address), chain, theirs[address])
        top = json.loads(wick("report", path / "x.pb.gz", "--json", "--top", "5").stdout)
        mix = next(f for f in top["functions"] if f["name"] == "mix")
        assert mix["inline"] == "yes" and mix["file"].endswith("/busy.c") and mix["self"] > top["total"] / 4, top
        lines = json.loads(wick("report", path / "x.pb.gz", "--json", "--lines", "--top", "20").stdout)
        assert {6, 7, 8, 9} & {f.get("line") for f in lines["functions"] if f["name"] == "mix"}, lines


@case
def without_debug_information_names_are_what_they_were():
    with workspace() as folder:
        path = pathlib.Path(folder)
        program = busy_program(path)
        assert recorded(path / "off.pb.gz", "--no-dwarf", "--", program).returncode == 0
        assert not any(c[0][2] for c in chains_of(path / "off.pb.gz", program).values() if c)
        assert shares(path / "off.pb.gz")["spin"] > 0.9
        if not shutil.which("objcopy"):
            raise Skip("no objcopy here")
        notes = subprocess.run(["readelf", "-n", program], capture_output=True, text=True, check=True).stdout
        build_id = re.search(r"Build ID: (\w+)", notes)[1]
        debug = path / "debug" / build_id[:2] / f"{build_id[2:]}.debug"
        debug.parent.mkdir(parents=True)
        subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
        subprocess.run(["strip", "-g", program], check=True)
        result = recorded(path / "bare.pb.gz", "--", program)
        assert result.returncode == 0 and "mix" not in shares(path / "bare.pb.gz")
        result = recorded(path / "apart.pb.gz", "--debug-dir", path / "debug", "--", program)
        assert b"with file and line" in result.stderr, result.stderr
        assert shares(path / "apart.pb.gz")["mix"] > 0.25
        # The file says which binary it is of; its name is only a promise.
        shutil.copy(WICK, debug)
        assert "mix" not in shares_of_recording(path / "wrong.pb.gz", "--debug-dir", path / "debug", "--", program)


def shares_of_recording(path, *arguments):
    assert recorded(path, *arguments).returncode == 0
    return shares(path)


@case
def debug_information_is_read_for_a_limited_time():
    with workspace() as folder:
        path = pathlib.Path(folder)
        program = busy_program(path)
        refused(wick("record", "--dwarf-time", "0", "-o", path / "x.pb.gz", "--", program), 2, "--dwarf-time")
        # A reader that never answers, beside a copy of wick.
        shutil.copy(WICK, path / "wick")
        (path / "wick-dwarf").write_text("#!/bin/sh\nexec sleep 60\n")
        (path / "wick-dwarf").chmod(0o755)
        command = [path / "wick", "record", "--dwarf-time", "1", "--force", "-o", path / "x.pb.gz", "--", program]
        result = subprocess.run(command, capture_output=True, timeout=50, check=False)
        if result.returncode == 5:
            raise Skip(result.stderr.decode().strip())
        assert result.returncode == 0 and b"--dwarf-time" in result.stderr, result.stderr
        assert shares(path / "x.pb.gz")["spin"] > 0.9
        (path / "wick-dwarf").unlink()
        result = subprocess.run(command, capture_output=True, timeout=50, check=False)
        assert result.returncode == 0 and b"wick-dwarf" in result.stderr, result.stderr


@case
def only_the_programs_for_them_link_libdw_and_libdebuginfod():
    if not shutil.which("ldd"):
        raise Skip("no ldd here")
    for program in ("wick", "wick-agent", "wick-server", "wick-dwarf"):
        path = os.path.join(os.path.dirname(WICK), program)
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        assert ("libdw" in libraries) == (program == "wick-dwarf"), (program, libraries)
        assert "libdebuginfod" not in libraries and "libcurl" not in libraries, (program, libraries)


@case
def perf_data_gets_lines_and_inlined_functions():
    with workspace() as folder:
        path = pathlib.Path(folder)
        program = busy_program(path)
        try:
            result = perf("record", "-F", "999", "-g", "-e", "cpu-clock:u", "-o", path / "x", "--", program)
        except FileNotFoundError:
            raise Skip("perf is not installed") from None
        if b"Captured and wrote" not in result.stderr:
            raise Skip("perf record: " + result.stderr.decode().strip()[-200:])
        found = shares(path / "x")
        assert found["mix"] > 0.25 and found["spin"] > 0.9, found
        assert wick("convert", path / "x", path / "x.pb.gz").returncode == 0
        assert shares(path / "x.pb.gz") == found
        plain = json.loads(wick("report", path / "x", "--no-dwarf", "--json", "--top", "100").stdout)
        assert "mix" not in {f["name"] for f in plain["functions"]}


run()
