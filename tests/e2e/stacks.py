# SPDX-License-Identifier: Apache-2.0
"""stacks: builds programs of tests/unwind and records their stacks with `wick
record`. The build folder is the first argument of whoever imports this."""

import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
from tap import Skip  # pylint: disable=wrong-import-position

BUILD = pathlib.Path(sys.argv[1]).resolve()
WICK = BUILD / "wick"
SOURCES = TESTS / "unwind"
EXAMPLES = TESTS.parent / "examples"
GOLANG = TESTS / "golang"
SECONDS = "1.5"
RATE = "463"  # no multiple of what the programs do in rounds
ONE = 1e9 / int(RATE)  # weight of a sample
NOFP = ["-fomit-frame-pointer", "-fno-optimize-sibling-calls"]

folder = tempfile.TemporaryDirectory(prefix="wick-unwind-")
FOLDER = pathlib.Path(folder.name)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def build(name, compiler, source, *flags, env=None):
    """FOLDER/name from a source; a compiler that cannot do it skips."""
    need(compiler)
    out = FOLDER / name
    command = [compiler, *flags, str(source), "-o", str(out)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if result.returncode != 0:
        raise Skip(f"{' '.join(command)}: {result.stderr.strip()[-200:]}")
    return out


def record(*command, rate=RATE, wrapper=(), profile=FOLDER / "x.pb.gz", wick=WICK):
    """Folded stacks of a program: [([root, ..., leaf], weight)], what it wrote.
    One that runs for SECONDS gets more of them where others use the CPUs."""
    for factor in (1, 3, 9):
        words = [str(float(SECONDS) * factor) if word is SECONDS else str(word) for word in command]
        result = subprocess.run([*wrapper, wick, "record", "-F", rate, "-o", profile, "--force", "--", *words],
                                capture_output=True, text=True, timeout=120, check=False, cwd="/")
        if result.returncode == 5:
            raise Skip("no sampling here: " + result.stderr.strip()[-200:])
        assert result.returncode == 0, result.stderr
        stacks = stacks_of(profile)
        if SECONDS not in command or total_of(stacks) > 200 * ONE:
            break
    return stacks, result.stdout


def source_of(profile):
    raw = subprocess.run([WICK, "report", profile, "--raw"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"^.*wick\.window .*$", raw, re.M)
    return match[0] if match else ""


def stacks_of(profile, *filters):
    out = FOLDER / "x.folded"
    result = subprocess.run([WICK, "convert", profile, out, "--force", *filters], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    stacks = []
    for line in out.read_text().splitlines():
        stack, weight = line.rsplit(" ", 1)
        stacks.append((stack.split(";"), int(weight)))
    return stacks


def is_kernel(frame):
    return frame.endswith("_[k]")


def user_part(stack):
    return [frame for frame in stack if not is_kernel(frame)]


def total_of(stacks, wanted=lambda stack: True):
    return sum(weight for stack, weight in stacks if wanted(stack))


def ends(stacks):
    """Weight by reason, of the stacks that have user frames."""
    found = {}
    for stack, weight in stacks:
        if user_part(stack):
            match = re.fullmatch(r"\[incomplete: (.*)\]", stack[0])
            key = match[1] if match else "root"
            found[key] = found.get(key, 0) + weight
    return found


def assert_reach_root(stacks, share=0.995, aside=()):
    """One sample of a few hundred is already 0.3 %: two more may be missing."""
    found = {end: weight for end, weight in ends(stacks).items() if end not in aside}
    whole, total = found.get("root", 0), sum(found.values())
    assert total > 100 * ONE, found
    assert whole >= share * total - 2 * ONE, found


def share_of(stacks, function):
    return total_of(stacks, lambda stack: function in stack) / total_of(stacks)


def noise(share, stacks):
    """What a share of that many samples may be off by chance."""
    return 3 * math.sqrt(share * (1 - share) / (total_of(stacks) / ONE))


def assert_truth(stacks, output):
    truth = re.findall(r"^truth (.+) self (\S+) total (\S+) ", output, re.M)
    assert len(truth) >= 3, output
    for name, _, percent in truth:
        found = share_of(stacks, name)
        wanted = float(percent) / 100
        assert abs(found - wanted) < 0.02 + noise(wanted, stacks), (name, percent, found)


def record_pid(pid, seconds="2"):
    profile = FOLDER / "p.pb.gz"
    result = subprocess.run(
        [WICK, "record", "-F", RATE, "-p", str(pid), "-d", seconds, "-o", profile, "--force"],
        capture_output=True, text=True, timeout=60, check=False,
    )
    if result.returncode == 5:
        raise Skip(result.stderr.strip()[-200:])
    assert result.returncode == 0, result.stderr
    return stacks_of(profile)


def while_running(command, check, **options):
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, **options)
    try:
        return check(process)
    finally:
        process.kill()
        process.wait()
