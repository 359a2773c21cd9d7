# SPDX-License-Identifier: Apache-2.0
"""serverprocess: wick-server as the tests start it, and the bytes of pprof's protobuf."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

SERVER = os.path.join(os.environ.get("WICK_BUILD_ROOT", "build"), "wick-server")


def varint(v):
    out = bytearray()
    while v >= 128:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out) + bytes([v])


def number(field, v):
    return varint(field << 3) + varint(v)


def nested(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


def protobuf(data):
    """(field, number or bytes), of a message of those."""
    def read():
        nonlocal at
        v = shift = 0
        while True:
            v |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return v

    at = 0
    while at < len(data):
        key = read()
        if key & 7 == 0:
            yield key >> 3, read()
        else:
            size = read()
            yield key >> 3, data[at:at + size]
            at += size


def one_pprof(function, value, time_ms, duration_ms=10000):
    """A profile of CPU time whose only stack is that function."""
    strings = ["", "cpu", "nanoseconds", function]
    body = nested(1, number(1, 1) + number(2, 2)) + nested(2, number(1, 1) + number(2, value))
    body += nested(4, number(1, 1) + nested(4, number(1, 1))) + nested(5, number(1, 1) + number(2, 3))
    body += number(9, time_ms * 1000000) + number(10, duration_ms * 1000000)
    return body + b"".join(nested(6, s.encode()) for s in strings)


class Server:
    def __init__(self, data, *options, preexec=None, program=SERVER):
        self.data = data
        self.lines = []
        self.process = subprocess.Popen(
            [program, "--listen", "127.0.0.1:0", "--data", data, "--disk-reserve", "0", *options],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=preexec)
        self.port = None
        for line in self.process.stderr:
            self.lines.append(line)
            if "listening address=" in line:
                self.port = int(line.rsplit(":", 1)[1])
                break
        # Nothing the server says later may block it.
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()
        assert self.port, "".join(self.lines)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        if kind:
            for line in "".join(self.lines).splitlines()[-40:]:
                print(f"# server: {line}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, "".join(self.lines)

    def ask(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.read(), r
        finally:
            c.close()

    def get(self, path, **params):
        labels = params.pop("label", [])
        if "from_" in params:
            params["from"] = params.pop("from_")
        query = urllib.parse.urlencode(list(params.items()) + [("label", v) for v in labels])
        status, body, _ = self.ask("GET", f"/api/v1/{path}?{query}")
        assert status == 200, (path, status, body)
        return json.loads(body)

    def ingest(self, body, **params):
        """(status, answer)"""
        status, answer, _ = self.ask("POST", "/api/v1/ingest?" + urllib.parse.urlencode(params), body)
        return status, json.loads(answer)

    def otlp(self, body, **headers):
        """(status, message or None, how many were rejected)"""
        headers = {"Content-Type": "application/x-protobuf", **{k.replace("_", "-"): v for k, v in headers.items()}}
        status, answer, r = self.ask("POST", "/v1development/profiles", body, headers)
        assert r.headers["Content-Type"] == "application/x-protobuf", (status, answer)
        fields = dict(protobuf(answer))
        if status != 200:
            return status, fields[2].decode(), 0
        partial = dict(protobuf(fields[1])) if 1 in fields else {}
        return status, partial[2].decode() if partial else None, partial.get(1, 0)

    def metric(self, name):
        _, body, _ = self.ask("GET", "/metrics")
        for line in body.decode().splitlines():
            if line.startswith(name + " "):
                return int(line.split()[1])
        raise AssertionError(f"no metric {name}")


class Folder:
    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="wick-server-test-")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


def wait_for(condition, what):
    """Polls; the pause only spares the CPU."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, f"timed out: {what}"
        threading.Event().wait(0.01)
