#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fleet: a server that a fleet sends to while its hosts come and go. What it uses must not grow, and its
answers must not get slower. Usage: fleet.py BUILD_DIR [MINUTES]

A hundred nodes send a profile a minute, a hundred times as fast as they would, and each hour all hosts are
new ones. MINUTES (40) of that; a day (1440) takes a quarter of an hour and meets --disk-limit on the way."""

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/server"))
BUILD = os.path.abspath(sys.argv[1])
os.environ.setdefault("WICK_BUILD_ROOT", BUILD)
from serverprocess import Server  # pylint: disable=wrong-import-position
from tap import case, measured, run  # pylint: disable=wrong-import-position

MINUTES = int(sys.argv[2]) if len(sys.argv) > 2 else 40
NODES = 100
SPEED = 100
DISK_LIMIT = 48 << 20
MEMORY_LIMIT_KB = 512 << 10
LOOKS = 40


def status(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise AssertionError(name)


def ask_time(server, path):
    """The median of a few, in seconds."""
    times = []
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        start = time.monotonic()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        times.append(time.monotonic() - start)
        connection.close()
        assert answer.status == 200, (path, answer.status)
    return statistics.median(times)


def look(server, start_ms):
    """What the server uses now, and how long it thinks about the last hour of a service."""
    pid = server.process.pid
    to_ms = start_ms - (MINUTES - server.metric("wick_ingest_stored_total") // NODES) * 60_000
    files = [os.path.join(at, name) for at, _, names in os.walk(server.data) for name in names]
    sizes = []
    for file in files:
        try:
            sizes.append(os.path.getsize(file))
        except FileNotFoundError:
            pass  # merged or dropped since it was listed
    return {
        "anonymous KiB": status(pid, "RssAnon"),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": status(pid, "Threads"),
        "files": len(sizes),
        "bytes": sum(sizes),
        "query": ask_time(server, f"/api/v1/top?service=checkout&from={to_ms - 3_600_000}&to={to_ms}"),
    }


def quarter(looks, i, name):
    part = looks[len(looks) * i // 4:len(looks) * (i + 1) // 4]
    return statistics.median(one[name] for one in part)


def check(looks, acks):
    def grows(name, factor, more):
        quarters = [quarter(looks, i, name) for i in range(4)]
        print(f"# {name}: {', '.join(f'{v:.6g}' for v in quarters)} in the quarters, at most {max(x[name] for x in looks):.6g}")
        assert quarters[3] <= quarters[2] * factor + more, (name, quarters)

    grows("anonymous KiB", 1.1, 16 << 10)
    grows("descriptors", 1, 6)
    grows("threads", 1, 2)
    # Blocks of finished hours and days stay until they are merged or dropped.
    grows("files", 1, 24)
    # Ten times as slow would not be load.
    grows("query", 3, 0.05)
    print(f"# acknowledged in ms, medians of the quarters: {', '.join(str(acks[f'p50_{i}']) for i in range(1, 5))}")
    assert acks["p50_4"] <= acks["p50_3"] * 3 + 10, acks
    assert max(x["anonymous KiB"] for x in looks) <= MEMORY_LIMIT_KB
    assert max(x["bytes"] for x in looks) <= DISK_LIMIT * 1.1


@case
@measured
def a_fleet_that_churns_costs_the_same_all_day():
    count = NODES * MINUTES
    with tempfile.TemporaryDirectory(prefix="wick-fleet-") as data, \
            Server(data, "--disk-limit", str(DISK_LIMIT), program=os.path.join(BUILD, "wick-server")) as server:
        load = subprocess.Popen(
            [os.path.join(BUILD, "bench/load_fleet"), str(server.port), str(server.process.pid), "wick", str(count), "16",
             str(NODES * SPEED // 60), "churn"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        looks, start_ms = [], int(time.time() * 1000)
        pause = MINUTES * 60 / SPEED / LOOKS
        try:
            while True:
                try:
                    load.wait(pause)
                    break
                except subprocess.TimeoutExpired:
                    if server.metric("wick_store_profiles"):
                        looks.append(look(server, start_ms))
        finally:
            if load.poll() is None:
                load.kill()
            out, _ = load.communicate()
        assert load.returncode == 0, load.returncode
        check(looks, {name: float(value) for name, value in (line.split() for line in out.splitlines())})
        stored, gone = server.metric("wick_store_profiles"), server.metric("wick_store_evicted_total")
        print(f"# {count} profiles sent, {stored} are there; {gone} blocks made room")
        assert stored == count if gone == 0 else stored < count
        server.stop()


run()
