#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unwind: stacks of programs built here in every way that matters to an
unwinder, recorded by `wick record` through BPF. Usage: unwind.py BUILD_DIR"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from stacks import (  # pylint: disable=wrong-import-position
    EXAMPLES,
    FOLDER,
    GOLANG,
    NOFP,
    ONE,
    RATE,
    SECONDS,
    SOURCES,
    WICK,
    assert_reach_root,
    assert_truth,
    build,
    ends,
    need,
    noise,
    record,
    record_pid,
    share_of,
    source_of,
    stacks_of,
    total_of,
    user_part,
    while_running,
)
from tap import Skip, case, measured, run  # pylint: disable=wrong-import-position


# ---- compilers and their options ----------------------------------------------


def shares_program(name, compiler, *flags, source="nofp.c"):
    return build(name, compiler, EXAMPLES / source, *flags)


VARIANTS = [
    ("gcc", ["-O0"]),
    ("gcc", ["-O2", *NOFP]),
    ("gcc", ["-O3", *NOFP]),
    ("gcc", ["-O2", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]),
    ("gcc", ["-O2", *NOFP, "-static"]),
    ("gcc", ["-O2", *NOFP, "-static-pie"]),
    ("gcc", ["-O2", *NOFP, "-no-pie"]),
    ("gcc", ["-O2", *NOFP, "-Wl,-z,lazy", "-fcf-protection=full"]),
    ("gcc", ["-O2", *NOFP, "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-gdwarf-4"]),
    ("clang", ["-O0"]),
    ("clang", ["-O2", *NOFP]),
    ("clang", ["-O3", *NOFP, "-no-pie"]),
    ("clang", ["-O2", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]),
    ("musl-gcc", ["-O2", *NOFP]),
    ("musl-gcc", ["-O2", *NOFP, "-static"]),
]


def variant_case(compiler, flags):
    def check():
        stacks, output = record(shares_program("shares", compiler, *flags), SECONDS)
        assert_reach_root(stacks)
        assert_truth(stacks, output)
        assert share_of(stacks, "main") > 0.97, ends(stacks)

    check.__name__ = "shares_are_the_truth_" + re.sub(r"[^a-zA-Z0-9]+", "_", "_".join([compiler, *flags])).strip("_")
    case(measured(check))


for variant in VARIANTS:
    variant_case(*variant)


@case
@measured
def cxx_reaches_its_root():
    stacks, output = record(build("cxx", "g++", EXAMPLES / "cxx.cc", "-O2", *NOFP), SECONDS)
    assert_reach_root(stacks)
    assert_truth(stacks, output)


@case
@measured
def threads_reach_where_they_start():
    stacks, output = record(build("threads", "gcc", EXAMPLES / "threads.c", "-O2", "-pthread", *NOFP), SECONDS)
    assert_reach_root(stacks)
    assert_truth(stacks, output)


@case
def a_stripped_binary_keeps_its_stacks():
    need("strip")
    program = shares_program("stripped", "gcc", "-O2", *NOFP)
    subprocess.run(["strip", "-s", program], check=True)
    stacks, _ = record(program, SECONDS)
    assert_reach_root(stacks)
    # main, run, serve and what they call have no names, but they are there.
    depths = [sum(frame.startswith("stripped+0x") for frame in stack) for stack, _ in stacks]
    assert max(depths) >= 5, max(depths)


@case
@measured
def rust_reaches_its_root():
    for name, flags in (("rs", ["-O"]), ("rs-abort", ["-O", "-Cpanic=abort", "-Cforce-frame-pointers=yes"]), ("rs-v0", ["-O", "-Csymbol-mangling-version=v0"])):
        program = build(name, "rustc", SOURCES / "shares.rs", *flags)
        stacks, _ = record(program, SECONDS)
        assert_reach_root(stacks)
        run_of = lambda job: total_of(stacks, lambda s: any(f"{job} as " in f and f.endswith("run") for f in s))
        parse, render = run_of("Parse"), run_of("Render")
        assert abs(parse / (parse + render) - 0.75) < 0.02 + noise(0.75, stacks), (name, parse, render)
        assert total_of(stacks, lambda s: any("shares::main" in f or "rs::main" in f or f.endswith("::main") for f in s)) > 0


def go_program(name, program, *flags, cgo="0"):
    """Built where the module is, by the Go of this machine."""
    need("go")
    env = {**os.environ, "CGO_ENABLED": cgo, "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    out = FOLDER / name
    command = ["go", "build", *flags, "-o", str(out), f"./{program}"]
    result = subprocess.run(command, cwd=GOLANG, env=env, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Skip(f"{' '.join(command)}: {result.stderr.strip()[-200:]}")
    return out


@case
@measured
def go_reaches_its_root():
    for name, flags in (("go", ()), ("go-stripped", ("-ldflags=-s -w",)), ("go-pie", ("-buildmode=pie",))):
        stacks, _ = record(go_program(name, "shares", *flags), SECONDS)
        assert_reach_root(stacks)
        work_of = lambda job: total_of(stacks, lambda s: f"main.{job}" in s)
        parse, render = work_of("parse"), work_of("render")
        assert abs(parse / (parse + render) - 0.75) < 0.02 + noise(0.75, stacks), (name, parse, render)
        for stack, _ in stacks:
            if "main.mix" in stack and not stack[0].startswith("[incomplete"):
                at = stack.index("main.mix")
                assert stack[0].startswith("runtime.goexit") and stack[at - 2] == "main.serve", stack


def need_bpf(what):
    """Where perf_event records stacks, that is 16 KiB of the stack at hand."""
    if os.geteuid() != 0:
        raise Skip(f"without BPF {what}")


@case
def gos_stacks_lead_to_each_other():
    need_bpf("only the stack at hand is recorded")
    program = go_program("go-stacks", "stacks", cgo="1")

    def check(process):
        stacks = record_pid(process.pid)
        print(f"# {ends(stacks)}")
        assert_reach_root(stacks, 0.97)
        # Go, called by C, called by Go.
        back = [s for s, _ in stacks if "main.calledByC" in s and "main.callsC" in s]
        assert back and all(s.index("main.callsC") < s.index("calls_back") < s.index("main.calledByC") for s in back), back
        deep = total_of(stacks, lambda s: s.count("main.growing") > 100)
        assert deep > 0, sum("main.growing" in s for s, _ in stacks)

    while_running([program], check)


@case
def a_thousand_frames_are_walked():
    need_bpf("deep stacks are recorded in part")
    program = build("deep", "gcc", SOURCES / "deep.c", "-O2", *NOFP)
    stacks, _ = record(program, "1000", SECONDS)
    # At the start tables are missing, and what is recorded then is 16 KiB of the stack.
    assert_reach_root(stacks, aside=("table_pending",))
    deepest = [stack for stack, _ in stacks if "burn" in stack and not stack[0].startswith("[incomplete")]
    assert deepest and all(stack.count("descend") == 1000 for stack in deepest), [s.count("descend") for s in deepest]


@case
def deeper_stacks_say_that_they_were_cut():
    need_bpf("deep stacks are recorded in part")
    program = build("deep", "gcc", SOURCES / "deep.c", "-O2", *NOFP)
    stacks, _ = record(program, "3000", SECONDS)
    found = ends(stacks)
    assert found.get("depth_limit", 0) > 0.9 * sum(found.values()), found
    cut = [stack for stack, _ in stacks if stack[0] == "[incomplete: depth_limit]"]
    assert all(len(user_part(stack)) == 1024 + 1 for stack in cut), {len(user_part(s)) for s in cut}


def signals(kind):
    if kind == "altstack":
        need_bpf("only the stack at hand is recorded")
    program = build("signals", "gcc", SOURCES / "signals.c", "-O2", *NOFP)
    stacks, _ = record(program, kind, SECONDS)
    # At the start tables are missing, and what is recorded then is of one stack only.
    assert_reach_root(stacks, aside=("table_pending",) if kind == "altstack" else ())
    handled = [(stack, weight) for stack, weight in stacks if "in_handler" in stack]
    assert total_of(handled) > 0.2 * total_of(stacks), ends(stacks)
    return handled


@case
def a_signal_handler_stands_on_what_raised_it():
    for kind in ("raised", "altstack"):
        for stack, _ in signals(kind):
            if stack[0] == "[incomplete: table_pending]":
                continue
            order = [f for f in stack if f in ("main", "raising", "handler", "in_handler")]
            assert order == ["main", "raising", "handler", "in_handler"], (kind, stack)


@case
def a_signal_handler_stands_on_what_it_interrupted():
    handled = signals("timer")
    good = total_of(handled, lambda s: [f for f in s if f in ("main", "interrupted", "handler")] == ["main", "interrupted", "handler"])
    # A few hit main itself, between two calls, or the vDSO.
    assert good > 0.9 * total_of(handled), handled


@case
def tail_calls_leave_no_frames():
    program = build("tailcalls", "gcc", SOURCES / "tailcalls.c", "-O2", "-fomit-frame-pointer")
    stacks, _ = record(program, SECONDS)
    assert_reach_root(stacks)
    assert share_of(stacks, "last") > 0.95
    assert not share_of(stacks, "first") and not share_of(stacks, "second")
    assert all(stack[stack.index("last") - 1] == "main" for stack, _ in stacks if "last" in stack)


@case
def assembly_without_unwind_information():
    need_bpf("guesses cannot look at code")
    program = build("assembly", "gcc", SOURCES / "assembly.c", "-O2", *NOFP)
    for kind, function in (("leaf", "asm_leaf"), ("frame", "asm_frame")):
        stacks, _ = record(program, kind, SECONDS)
        assert_reach_root(stacks)
        assert share_of(stacks, function) > 0.95, stacks
        assert all(stack[stack.index(function) - 1] == "calls_assembly" for stack, _ in stacks if function in stack)
    stacks, _ = record(program, "opaque", SECONDS)
    found = ends(stacks)
    lost = ("no_unwind_info", "astray")
    assert sum(found.get(end, 0) for end in lost) > 0.9 * sum(found.values()), found
    for stack, _ in stacks:
        if "called_back" in stack:
            above = stack[: stack.index("called_back")]
            assert above in ([f"[incomplete: {end}]", "asm_opaque"] for end in lost), stack


# ---- what changes under a running program ---------------------------------------


@case
def plugins_in_each_others_place_are_not_mixed_up():
    plugins = [
        build(f"{name}.so", "gcc", SOURCES / "plugin.c", "-shared", "-fPIC", "-O2", *NOFP, f"-DPLUGIN={name}", f"-DROOM={room}")
        for name, room in (("alpha", 40), ("beta", 200))
    ]
    program = build("plugins", "gcc", SOURCES / "plugins.c", "-O2", *NOFP, "-ldl")
    stacks, _ = record(program, *plugins, "6")
    shares = {name: total_of(stacks, lambda s, n=name: f"{n}_inner" in s) / total_of(stacks) for name in ("alpha", "beta")}
    assert all(0.2 < share < 0.8 for share in shares.values()), shares
    for stack, _ in stacks:
        whose = {name for name in ("alpha", "beta") for frame in stack if frame.startswith(name + "_")}
        assert len(whose) <= 1, stack
        for name in whose:
            inner = stack.index(f"{name}_inner") if f"{name}_inner" in stack else 0
            if inner and not stack[0].startswith("[incomplete"):
                assert stack[inner - 3 : inner] == ["main", "work", f"{name}_middle"], stack
    found = ends(stacks)
    assert found["root"] > 0.8 * sum(found.values()), found


@case
def a_binary_replaced_on_disk_keeps_the_names_of_what_runs():
    need_bpf("files without a name are not opened")
    program = shares_program("replaced", "gcc", "-O2", *NOFP)
    other = build("other", "gcc", SOURCES / "tailcalls.c", "-O2")

    def check(process):
        os.replace(other, program)
        return record_pid(process.pid)

    stacks = while_running([program, "30"], check)
    assert_reach_root(stacks)
    assert share_of(stacks, "parse_request") > 0.5 and share_of(stacks, "main") > 0.97


@case
def a_program_in_other_namespaces_is_unwound():
    need("unshare", "mount")
    if os.geteuid() != 0:
        raise Skip("new namespaces need root")
    program = shares_program("hidden", "gcc", "-O2", *NOFP)
    # The program's file is on a file system that nobody else sees.
    script = f'mount -t tmpfs none /mnt && cp {program} /mnt/inside && umount -l /proc; cd / && exec /mnt/inside 30'

    def check(process):
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while process.poll() is None:
            for child in children.read_text().split():
                if pathlib.Path(f"/proc/{child}/comm").read_text() == "inside\n":
                    return record_pid(child)
            os.sched_yield()
        raise Skip("unshare does not work here")

    stacks = while_running(["unshare", "--mount", "--pid", "--fork", "sh", "-c", script], check, stderr=subprocess.DEVNULL)
    assert_reach_root(stacks)
    assert share_of(stacks, "parse_request") > 0.5 and share_of(stacks, "main") > 0.97


@case
@measured
def without_privilege_stacks_are_whole_too():
    need("setpriv")
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    public = pathlib.Path(tempfile.mkdtemp(prefix="wick-nobody-"))
    try:
        public.chmod(0o777)
        for file in (WICK, shares_program("unprivileged", "gcc", "-O2", *NOFP)):
            shutil.copy(file, public)
        profile = public / "x.pb.gz"
        stacks, output = record(public / "unprivileged", SECONDS, profile=profile, wick=public / "wick",
                                wrapper=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
        assert "source=perf:cpu-clock" in source_of(profile) and "unwind=recorded" in source_of(profile), source_of(profile)
        assert_reach_root(stacks)
        assert_truth(stacks, output)
    finally:
        shutil.rmtree(public)


# ---- programs as they are shipped -------------------------------------------------

CXX = """
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
int main() { std::map<std::string, std::vector<int>> m; std::cout << std::regex_match("aab", std::regex("a+b*")) << m.size(); }
"""


def real_programs():
    source = FOLDER / "real.cc"
    source.write_text(CXX)
    repository = FOLDER / "repository"
    return {
        "python3": ["python3", "-c", "import json, re\nr = {'a': [1, 2, 3] * 20}\nfor i in range(60000):\n"
                    "  json.loads(json.dumps(r)); re.sub('b', 'd', 'abc' * 10); sorted(range(50))"],
        "node": ["node", "-e", "const z = require('zlib'), b = Buffer.alloc(1 << 20, 'wick');"
                 "for (let i = 0; i < 60; i++) z.gunzipSync(z.gzipSync(b, { level: 9 }))"],
        "clang": ["sh", "-c", f"for i in 1 2 3; do clang++ -std=c++17 -O2 -c -o /dev/null {source}; done"],
        "sqlite3": ["sqlite3", ":memory:", "with recursive c(x) as (select 1 union all select x + 1 from c where x < 3000000) "
                    "select sum(x * x), count(distinct x % 1000), group_concat(distinct x % 100) from c"],
        "openssl": ["openssl", "speed", "-seconds", "1", "sha256", "rsa2048"],
        "git": ["sh", "-c", f"cd {repository} && for i in $(seq 20); do git log -p --stat >/dev/null; git fsck; done"],
    }


def make_repository():
    repository = FOLDER / "repository"
    if repository.exists():
        return
    environment = dict(os.environ, HOME=str(FOLDER), GIT_CONFIG_GLOBAL="/dev/null")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-C", str(repository)]
    subprocess.run(["git", "init", "-q", repository], check=True, env=environment)
    for i in range(60):
        (repository / "f").write_text("".join(f"{(i * 7919 + k * 104729) % 997}\n" for k in range(3000)))
        subprocess.run([*git, "add", "f"], check=True, env=environment)
        subprocess.run([*git, "commit", "-q", "-m", f"{i}"], check=True, env=environment)


def real_case(name):
    def check():
        need(name if name != "clang" else "clang++")
        if name in ("clang", "git"):
            need_bpf("deep stacks are recorded in part, and short programs are gone")
        if name == "git":
            make_repository()
        stacks, _ = record(*real_programs()[name], rate="199")
        found = ends(stacks)
        share = found.get("root", 0) / sum(found.values())
        print(f"# {name}: {100 * share:.2f} % of {round(sum(found.values()) * 199 / 1e9)} user samples reach a root; {found}")
        # JIT-compiled code is followed by its frame pointers where it has them.
        aside = found.get("jit", 0) if name == "node" else 0
        # The first stacks come while tables are built, longer on a busy machine.
        pending = found.get("table_pending", 0)
        assert pending < 0.08 * sum(found.values()), found
        assert found.get("root", 0) >= 0.97 * (sum(found.values()) - aside - pending) - 3e9 / 199, found

    check.__name__ = f"{name}_as_it_is_shipped_reaches_its_root"
    case(measured(check))


for real in ("python3", "node", "clang", "sqlite3", "openssl", "git"):
    real_case(real)


# ---- other unwinders -------------------------------------------------------------


def perf_dwarf(*command):
    need("perf")
    data = FOLDER / "perf.data"
    result = subprocess.run(
        ["perf", "record", "-q", "-F", RATE, "-e", "cpu-clock:u", "--call-graph", "dwarf,16384", "-o", data, "--", *map(str, command)],
        capture_output=True, text=True, timeout=60, check=False,
    )
    if result.returncode != 0:
        raise Skip("perf record: " + result.stderr.strip()[-200:])
    script = FOLDER / "perf.script"
    with open(script, "wb") as out:
        subprocess.run(["perf", "script", "-i", data, "-F", "comm,tid,time,event,ip,sym,dso"], stdout=out,
                       stderr=subprocess.DEVNULL, timeout=120, check=True)
    # Without a period each sample weighs 1.
    return [(stack, weight * ONE) for stack, weight in stacks_of(script, "--type", "samples")]


def names(stack):
    return tuple(re.sub(r"@@?GLIBC.*|\+0x.*|\(.*", "", frame) for frame in stack)


@case
def perf_with_dwarf_sees_the_same_stacks():
    program = shares_program("perf", "gcc", "-O2", "-g", *NOFP)
    theirs = perf_dwarf(program, SECONDS)
    ours, _ = record(program, SECONDS)
    whole = {"parse_request", "escape_html", "render_page", "write_log"}

    def by_path(stacks):
        sums = {}
        for stack, weight in stacks:
            path = [f for f in names(user_part(stack)) if f in whole | {"main", "run", "serve"}]
            if whole & set(path):
                sums[tuple(path)] = sums.get(tuple(path), 0) + weight
        total = sum(sums.values())
        return {path: weight / total for path, weight in sums.items()}

    a, b = by_path(theirs), by_path(ours)
    for path in a.keys() | b.keys():
        share = a.get(path, 0)
        assert abs(share - b.get(path, 0)) < 0.02 + noise(share, ours) + noise(share, theirs), (path, a, b)


@case
def gdb_sees_the_same_stack():
    need("gdb")
    program = build("deep", "gcc", SOURCES / "deep.c", "-O2", *NOFP)

    def check(process):
        stacks = record_pid(process.pid, "1")
        backtrace = subprocess.run(["gdb", "-q", "-batch", "-p", str(process.pid), "-ex", "bt"], capture_output=True, text=True,
                                   timeout=60, check=False).stdout
        return stacks, backtrace

    stacks, backtrace = while_running([program, "40", "30"], check)
    theirs = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([\w.]+)", backtrace, re.M)
    if "main" not in theirs:
        raise Skip("gdb: " + backtrace[-200:])
    theirs = theirs[theirs.index("descend") : theirs.index("main") + 1][::-1]
    ours = [stack for stack, _ in stacks if "burn" in stack]
    assert ours
    for stack in ours:
        assert stack[stack.index("main") : stack.index("burn")] == theirs, (stack, theirs)


run()
