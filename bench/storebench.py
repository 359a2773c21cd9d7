# SPDX-License-Identifier: Apache-2.0
"""storebench: what bench/store and bench/peers share: programs, servers, their figures."""

import os
import re
import subprocess
import sys
import time

SCALE = float(os.environ.get("WICK_BENCH_SCALE", "1"))


def scaled(n, least=1):
    return max(least, int(n * SCALE))


def say(text):
    print(text, file=sys.stderr, flush=True)


def compile(build, *programs):
    """Not built by default."""
    subprocess.run(["ninja", "-C", build, *[f"bench/{p}" for p in programs]], check=True, stdout=subprocess.DEVNULL)


def figures(*command):
    """Of a program that prints "name value"."""
    say("+ " + " ".join(os.path.basename(c) for c in command))
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: float(value) for name, value in (line.split() for line in out.splitlines())}


def memory(pid):
    """Anonymous and mapped MiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        text = file.read()
    return [int(re.search(name + r":\s+(\d+)", text)[1]) / 1024 for name in ("RssAnon", "RssFile")]


class Server:
    """wick-server as people start it."""

    kind = "wick"

    def __init__(self, build, folder):
        read_fd, write_fd = os.pipe()
        start = time.monotonic()
        self.process = subprocess.Popen(
            [os.path.join(build, "wick-server"), "--listen", "127.0.0.1:0", "--data", folder, "--ready-fd", str(write_fd),
             "--disk-limit", "100G"],
            pass_fds=[write_fd], stderr=subprocess.DEVNULL)
        os.close(write_fd)
        with os.fdopen(read_fd) as ready:
            address = ready.readline().strip().removeprefix("http://")
        assert address, "wick-server does not start"
        self.started = time.monotonic() - start
        self.port = int(address.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def load(build, server, count, connections, rate):
    f = figures(os.path.join(build, "bench/load_fleet"), str(server.port), str(server.process.pid), server.kind,
                str(count), str(connections), str(rate))
    f["mb_per_cpu"] = f["bytes"] / 1e6 / f["cpu"]
    f["rate"] = count / f["seconds"]
    say(f"  {server.kind}: {f['bytes'] / 1e6:.0f} MB in {f['seconds']:.1f} s and {f['cpu']:.2f} CPU s, "
        f"{f['rate']:.0f} profiles/s, ack p50 {f['p50']:.1f} ms, p99 {f['p99']:.1f} ms, "
        f"anonymous {f['anon']:.0f} MiB, files {f['file']:.0f} MiB")
    return f
