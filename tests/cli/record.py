#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record: `wick record` of a command or a process: true shares, its status, an
end by Ctrl-C, what to do where sampling is refused. Usage: record.py
BUILD_DIR"""

import ctypes
import errno
import os
import platform
import re
import signal
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from calls import EXAMPLE, WICK, recorded, refused, shares, workspace  # pylint: disable=wrong-import-position
from tap import Skip, case, measured, run  # pylint: disable=wrong-import-position


@case
@measured
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
        assert recorded(os.path.join(folder, "n.pb.gz"), "--", "/no/such/command").returncode == 127


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
