#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cli_test: wick as a person or a script calls it: formats, messages, exit
statuses. Usage: cli_test.py BUILD_DIR"""

import ctypes
import errno
import gzip
import json
import os
import pathlib
import platform
import re
import signal
import struct
import subprocess
import sys
import tempfile

from tap import Skip, case, run

WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
DATA = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "pprof"
FOLDED = "main;parse;read_[k] 30\nmain;parse 10\nmain;operator new(unsigned long) 60\n"


def wick(*arguments, stdin=None):
    return subprocess.run([WICK, *arguments], input=stdin, capture_output=True, timeout=60, check=False)


def workspace():
    return tempfile.TemporaryDirectory(prefix="wick-cli-")


def refused(result, status, *words):
    text = result.stderr.decode()
    assert result.returncode == status, (result.returncode, text)
    for word in words:
        assert word in text, (word, text)
    assert text.count("\n") <= 2, text


@case
def folded_survives_every_detour():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("a.pb.gz", "a.pb", "a.pprof"):
            assert wick("convert", path / "in.folded", path / name).returncode == 0
            assert wick("convert", path / name, path / f"{name}.folded").returncode == 0
            assert sorted((path / f"{name}.folded").read_text().splitlines()) == sorted(FOLDED.splitlines())


@case
def perf_script_collapses():
    script = "a b 7 1.5: 3 cycles:\n\t7f1 f(int) (/x/vmlinux)\n\na b 7 1.6: 1 faults:\n\n"
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in").write_text(script)
        out = path / "out.txt"
        assert wick("convert", path / "in", out, "--stackcollapse", "--all", "--tid").returncode == 0
        assert out.read_text() == "a_b-?/7;f_[k] 3\n"
        assert wick("convert", path / "in", out, "--stackcollapse", "--event", "faults", "--force").returncode == 0
        assert out.read_text() == "a_b 1\n"
        refused(wick("convert", path / "in", out, "--stackcollapse", "--event", "x", "--force"), 1, "event")
        refused(wick("convert", path / "in", path / "out.svg", "--stackcollapse"), 2, ".folded")


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
    assert set(top["functions"][0]) == {"name", "file", "self", "total"}


@case
def report_text_is_plain():
    result = wick("report", "-", stdin=FOLDED.encode())
    assert result.returncode == 0 and b"\x1b" not in result.stdout
    assert b"60.00%" in result.stdout and b"operator new" in result.stdout


@case
def flame_graphs_hold_every_name():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("out.svg", "out.html"):
            assert wick("report", path / "in.folded", "--flame", path / name).returncode == 0
        svg = (path / "out.svg").read_text()
        assert svg.startswith("<?xml") or svg.startswith("<svg")
        for name in ("main", "parse", "read", "operator new(unsigned long)"):
            assert name in svg, name
        html = (path / "out.html").read_text()
        assert "http://" not in html.replace("http://www.w3.org/", "") and "https://" not in html
        assert len(html) < 150_000, len(html)


@case
def existing_files_are_kept():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        (path / "out.pb").write_text("precious")
        refused(wick("convert", path / "in.folded", path / "out.pb"), 1, "--force")
        assert (path / "out.pb").read_text() == "precious"
        assert wick("convert", path / "in.folded", path / "out.pb", "--force").returncode == 0
        assert sorted(os.listdir(folder)) == ["in.folded", "out.pb"]


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
        refused(wick("report", "-", "--type", "heap", stdin=FOLDED.encode()), 1, "samples:count")


@case
def wrong_usage_is_status_2():
    refused(wick("frobnicate"), 2, "frobnicate")
    refused(wick("report"), 2, "wick help report")
    refused(wick("report", "--top", "many", "x"), 2, "many")
    refused(wick("convert", "a"), 2)
    refused(wick("convert", "a", "b.xyz"), 2, ".pb.gz")
    refused(wick("convert", "a", "b.txt", "--pid"), 2, "--stackcollapse")
    refused(wick("convert", "a", "b.txt", "--stackcollapse", "--event"), 2, "--event")
    refused(wick("record", "-o", "x.pb.gz"), 2, "-p PID")
    refused(wick("record", "-p", "0", "-o", "x.pb.gz"), 2)
    assert wick("help").returncode == 0 and wick("help", "record").returncode == 0
    assert json.loads(wick("version", "--json").stdout)["version"]


@case
def full_disk_leaves_nothing():
    result = subprocess.run(
        ["sh", "-c", f"'{WICK}' report - >/dev/full"], input=FOLDED.encode(), capture_output=True, check=False
    )
    assert result.returncode == 1 and b"No space" in result.stderr, result


@case
def starts_in_a_blink():
    # 20 ms is the goal; a hundred starts share one noisy moment.
    import time

    begin = time.monotonic()
    for _ in range(20):
        wick("version")
    assert (time.monotonic() - begin) / 20 < 0.2


@case
def real_profiles_open():
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    files = sorted(DATA.glob("*.pb.gz")) + sorted(DATA.glob("series/*.pb.gz")) + [DATA / "large.cpu"]
    assert len(files) > 10
    for file in files:
        result = wick("report", file, "--json", "--top", "5")
        assert result.returncode == 0, (file, result.stderr)
        top = json.loads(result.stdout)
        assert top["functions"] and all(f["total"] >= f["self"] for f in top["functions"]), file


@case
def older_forms_become_pprof():
    heap = "heap profile: 1: 8 [1: 8] @ growthz\n1: 8 [1: 8] @ 0x11 0x21\n--- Memory map: ---\n10-30: /bin/x\n"
    with workspace() as folder:
        path = pathlib.Path(folder)
        assert wick("convert", "-", path / "a.pb.gz", stdin=heap.encode()).returncode == 0
        top = json.loads(wick("report", path / "a.pb.gz", "--json").stdout)
        assert top["type"] == "space" and [f["name"] for f in top["functions"]] == ["x+0x10", "x+0x20"], top
        refused(wick("report", "-", stdin=heap[:-3].encode()), 3, "gperftools: line 4: the file ends within this line")


EXAMPLE = os.path.join(os.path.dirname(WICK), "examples", "example-fp")


def recorded(path, *arguments):
    """wick record, or a skip where the kernel refuses to sample."""
    result = wick("record", "-F", "999", "-o", path, *arguments)
    if result.returncode == 5:
        raise Skip(result.stderr.decode().strip())
    return result


def shares(path):
    top = json.loads(wick("report", path, "--json", "--top", "100").stdout)
    return {f["name"]: f["total"] / top["total"] for f in top["functions"]}


@case
def recorded_shares_are_the_truth():
    with workspace() as folder:
        path = os.path.join(folder, "fp.pb.gz")
        result = recorded(path, "--", EXAMPLE, "8")
        assert result.returncode == 0, result.stderr
        truth = re.findall(r"^truth (\S+) self \S+ total (\S+) ", result.stdout.decode(), re.M)
        assert len(truth) >= 4, result.stdout
        found = shares(path)
        for name, percent in truth:
            assert abs(found.get(name, 0) - float(percent) / 100) < 0.03, (name, percent, found.get(name))
        assert found["main"] > 0.97, found


@case
def a_commands_children_and_status_come_along():
    with workspace() as folder:
        path = os.path.join(folder, "sh.pb.gz")
        result = recorded(path, "--", "sh", "-c", f"{EXAMPLE} 1 >/dev/null; exit 7")
        assert result.returncode == 7, result
        assert shares(path).get("parse_request", 0) > 0.3, shares(path)
        assert recorded(os.path.join(folder, "k.pb.gz"), "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
        assert recorded(os.path.join(folder, "n.pb.gz"), "--", "no-such-command").returncode == 127


@case
def ctrl_c_writes_what_there_is():
    with workspace() as folder:
        path = os.path.join(folder, "p.pb.gz")
        example = subprocess.Popen([EXAMPLE, "60"], stdout=subprocess.DEVNULL)
        try:
            recorder = subprocess.Popen(
                [WICK, "record", "-p", str(example.pid), "-d", "60", "-o", path], stderr=subprocess.PIPE
            )
            # CPU the example has used shows that there was time to sample it.
            begin = cpu_ticks(example.pid)
            while cpu_ticks(example.pid) - begin < 100 and recorder.poll() is None:
                os.sched_yield()
            recorder.send_signal(signal.SIGINT)
            status = recorder.wait(timeout=20)
            text = recorder.stderr.read().decode()
            if status == 5:
                raise Skip(text)
            assert status == 0, text
            assert shares(path).get("parse_request", 0) > 0.3, text
        finally:
            example.kill()
            example.wait()


SYSCALLS = {"x86_64": (298, 321), "aarch64": (241, 280)}  # perf_event_open, bpf


def refuse_sampling():
    """Makes the kernel answer EACCES to both, as a container's filter does."""
    perf_event_open, bpf = SYSCALLS[platform.machine()]
    instructions = [
        (0x20, 0, 0, 0),  # load the number of the call
        (0x15, 1, 0, perf_event_open),
        (0x15, 0, 1, bpf),
        (0x06, 0, 0, 0x00050000 | errno.EACCES),
        (0x06, 0, 0, 0x7FFF0000),  # allow
    ]
    code = b"".join(struct.pack("HBBI", *i) for i in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privs, seccomp, filter_mode = 38, 22, 2
    assert libc.prctl(no_new_privs, 1, 0, 0, 0) == 0 and libc.prctl(seccomp, filter_mode, program, 0, 0) == 0


@case
def where_sampling_is_refused_the_remedy_is_named():
    if platform.machine() not in SYSCALLS:
        raise Skip(f"no system call numbers for {platform.machine()}")
    with workspace() as folder:
        for command in (
            [WICK, "record", "-o", os.path.join(folder, "x.pb.gz"), "--", "true"],
            [WICK, "agent", "--server", "http://127.0.0.1:1"],
        ):
            result = subprocess.run(command, capture_output=True, timeout=30, check=False, preexec_fn=refuse_sampling)
            refused(result, 5, "CAP_BPF", "CAP_PERFMON", "seccomp")
        assert os.listdir(folder) == []


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rsplit(")", 1)[1].split()[11])


run()
