#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""churn: an agent beside a machine that starts and ends processes all the
time. It must keep its memory and descriptors bounded and lose nothing.
Usage: churn.py BUILD_DIR [SECONDS]

Without SECONDS as many processes as the machine can start, for a while; with
it PER_MINUTE, and what the agent uses must not grow."""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from tap import Skip, case, run  # pylint: disable=wrong-import-position

BUILD = os.path.abspath(sys.argv[1])
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 25
IS_LONG = len(sys.argv) > 2
PER_MINUTE = 500
BATCH = 8
PARTS = 10
RSS_LIMIT_KB = 10240
RSS_GROWTH_KB = 512  # from the third part to the last


class Lines(threading.Thread):
    """The lines a program writes, as they come."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.lines = stream, []
        self.start()

    def run(self):
        for line in self.stream:
            self.lines.append(line)


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def name_of(pid):
    with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
        return file.read().strip()


def agent_of(pid):
    """Between its fork and its exec the agent still has the parent's name."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for child in children_of(pid):
            if name_of(child) == "wick-agent":
                return child
        os.sched_yield()
    raise AssertionError("wick up started no agent")


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])


def churn(until):
    """Short processes, some of which live just long enough to be sampled."""
    n = 0
    start = time.monotonic()
    while time.monotonic() < until:
        batch = [
            subprocess.Popen(["/bin/sh", "-c", f"i=0; while [ $i -lt {n % 7 * 2000} ]; do i=$((i+1)); done"])
            for _ in range(BATCH)
        ]
        for process in batch:
            process.wait()
        n += 1
        if IS_LONG:
            time.sleep(max(0, start + n * BATCH * 60 / PER_MINUTE - time.monotonic()))
    return n * BATCH


@case
def memory_and_descriptors_stay_and_nothing_is_lost():
    if os.getuid() != 0:
        raise Skip("sampling all processes needs root")
    with tempfile.TemporaryDirectory(prefix="wick-churn-") as data:
        up = subprocess.Popen(
            [os.path.join(BUILD, "wick"), "up", "--listen", "127.0.0.1:0", "--data", data],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        log = Lines(up.stderr)
        try:
            url = up.stdout.readline().strip()
            assert url.startswith("http://"), log.lines
            agent = agent_of(up.pid)
            rss, fds = [], []
            for part in range(PARTS):
                started = churn(time.monotonic() + SECONDS / PARTS)
                rss.append(rss_kb(agent))
                fds.append(len(os.listdir(f"/proc/{agent}/fd")))
                print(f"# part {part + 1}: {started} processes, agent {rss[-1]} kB, {fds[-1]} descriptors", flush=True)
            assert max(rss) < RSS_LIMIT_KB, rss
            assert max(fds[PARTS // 2 :]) < max(fds[: PARTS // 2]) + 32, fds
            if IS_LONG:
                assert rss[-1] < rss[2] + RSS_GROWTH_KB, rss
        finally:
            up.terminate()
            status = up.wait(timeout=30)
        assert status == 0, (status, log.lines)
        cost = [line for line in log.lines if " cost " in line or line.startswith("cost")]
        assert cost, log.lines
        print(f"# {cost[-1].strip()}")
        counts = {key: int(value) for key, value in re.findall(r"\b(samples|lost)=(\d+)", cost[-1])}
        # In half an hour other work may fill a window once; it is counted, and little.
        assert counts["lost"] <= (counts["samples"] // 200 if IS_LONG else 0), cost[-1]


run()
