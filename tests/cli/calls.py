# SPDX-License-Identifier: Apache-2.0
"""calls: wick called as a person or a script calls it: its status, what it says
to a pipe or a terminal, what it records. The build folder is the first
argument of whoever imports this."""

import fcntl
import json
import os
import pathlib
import pty
import struct
import subprocess
import sys
import tempfile
import termios

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
from tap import Skip  # pylint: disable=wrong-import-position

WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
EXAMPLE = os.path.join(os.path.dirname(WICK), "examples", "example-fp")
DATA = TESTS.parent.parent / "shared" / "data" / "pprof"
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


def in_terminal(columns, *arguments, status=0, **environment):
    """What wick prints to a terminal of that width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm", **environment}
    with subprocess.Popen([WICK, *arguments], stdout=follower, stderr=follower, env=env) as process:
        os.close(follower)
        out = b""
        while True:
            try:
                got = os.read(leader, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not got:
                break
            out += got
        assert process.wait(60) == status, out
    os.close(leader)
    return out.replace(b"\r\n", b"\n")


def perf(*arguments, **options):
    return subprocess.run(["perf", *map(str, arguments)], capture_output=True, timeout=60, check=False, **options)


def recorded(path, *arguments):
    """wick record, or a skip where the kernel refuses to sample."""
    result = wick("record", "-F", "999", "-o", path, *arguments)
    if result.returncode == 5:
        raise Skip(result.stderr.decode().strip())
    return result


def shares(path):
    top = json.loads(wick("report", path, "--json", "--top", "100").stdout)
    return {f["name"]: f["total"] / top["total"] for f in top["functions"]}
