#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""server_test.py [SANITIZER]: wick-server as a process: real sockets, real kills.

WICK_KILLS: how often the server is killed during the ingests. Needs the standard library only. Profiles come from
../shared/data/pprof where that is there, else they are made here."""

import base64
import concurrent.futures
import glob
import gzip
import http.client
import json
import os
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

ROOT = os.environ.get("WICK_SOURCE_ROOT", os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from serverprocess import SERVER, Folder, Server, nested, number, varint, wait_for  # noqa: E402
from tap import Skip, case, run  # noqa: E402

SANITIZER = sys.argv[1] if len(sys.argv) > 1 else "none"
NOW = int(time.time() * 1000)


# ---- profiles ------------------------------------------------------------

def pprof(stacks, time_ms=NOW, duration_ms=10000, comment="", labels=(), found=()):
    """stacks: {("main", "f"): ns}, root first; labels: of every sample, (name, text or number); found: {function: how}."""
    strings = [""]

    def text(s):
        if s not in strings:
            strings.append(s)
        return strings.index(s)

    functions, body = {}, b""
    body += nested(1, number(1, text("cpu")) + number(2, text("nanoseconds")))
    for stack, value in stacks.items():
        for name in stack:
            functions.setdefault(name, len(functions) + 1)
        sample = b"".join(number(1, functions[name]) for name in reversed(stack)) + number(2, value)
        for name, v in labels:
            one = number(1, text(name))
            one += number(3, v) if isinstance(v, int) else number(2, text(v))
            sample += nested(3, one)
        body += nested(2, sample)
    for name, i in functions.items():
        how = number(127, found[name]) if name in found else b""
        body += nested(4, number(1, i) + nested(4, number(1, i)) + how)
        body += nested(5, number(1, i) + number(2, text(name)))
    if comment:
        body += number(13, text(comment))
    body += number(9, time_ms * 1000000) + number(10, duration_ms * 1000000)
    return body + b"".join(nested(6, s.encode()) for s in strings)


def otlp(*resources):
    """resources: (attributes, [profile]); profile: {"type": "cpu:nanoseconds", "time_ms", "duration_ms", "comment",
    "samples": [(stack root first, labels, values, times in ms)]}."""
    strings, functions, stacks, attributes = [""], [], [()], []

    def index(table, row):
        if row not in table:
            table.append(row)
        return table.index(row)

    def text(s):
        return index(strings, s)

    def packed(field, values):
        return nested(field, b"".join(varint(v) for v in values)) if values else b""

    def pair(key, value):
        return nested(1, key.encode()) + nested(2, nested(1, value.encode()))

    def sample(stack, labels, values, times):
        for name in stack:
            index(functions, name)
        return (number(1, index(stacks, stack)) + packed(2, [1 + index(attributes, a) for a in labels.items()])
                + packed(4, values) + (nested(5, b"".join(struct.pack("<Q", t * 1000000) for t in times)) if times else b""))

    body = b""
    for resource, profiles in resources:
        inner = b""
        for p in profiles:
            kind, unit = p["type"].split(":")
            one = nested(1, number(1, text(kind)) + number(2, text(unit)))
            one += b"".join(nested(2, sample(*s)) for s in p["samples"])
            one += varint(3 << 3 | 1) + struct.pack("<Q", p["time_ms"] * 1000000)
            one += number(4, p["duration_ms"] * 1000000)
            if "comment" in p:
                one += packed(11, [1 + index(attributes, ("pprof.profile.comment", p["comment"]))])
            inner += nested(2, one)
        body += nested(1, nested(1, b"".join(nested(1, pair(*a)) for a in resource.items())) + nested(2, inner))
    rows = b"".join(nested(table, b"") for table in (1, 2, 3, 4, 6, 7))
    for i, name in enumerate(functions):
        rows += nested(3, number(1, text(name))) + nested(2, nested(3, number(1, i + 1)))
    for key, value in attributes:
        rows += nested(6, number(1, text(key)) + nested(2, nested(1, value.encode())))
    for stack in stacks[1:]:
        rows += nested(7, packed(1, [1 + functions.index(name) for name in reversed(stack)]))
    return body + nested(2, rows + b"".join(nested(5, s.encode()) for s in strings))


def real_profiles():
    return sorted(glob.glob(os.path.join(ROOT, "../shared/data/pprof/*.pb.gz"))
                  + glob.glob(os.path.join(ROOT, "../shared/data/pprof/series/*.pb.gz")))


def many_profiles():
    """Real ones, or made ones of about their size."""
    paths = real_profiles()
    if paths:
        return [open(p, "rb").read() for p in paths]
    return [gzip.compress(pprof({("main", f"f{k}", f"g{i % 7}"): i + 1 for i in range(200)})) for k in range(10)]


def segments(data):
    return sorted(glob.glob(os.path.join(data, "wal", "*.wal")))


# ---- what is stored is what is shown ----------------------------------------

WINDOW = "wick.window source=bpf:cpu-clock unwind=tables cpus=4 rate_hz=100 samples=70 ring_full=3 truncated=2"


@case
def a_profile_is_shown_as_it_was_sent():
    stacks = {("main", "parse"): 30_000_000, ("main", "run", "parse"): 20_000_000, ("main", "run"): 10_000_000}
    at = NOW // 10000 * 10000 - 60000
    with Folder() as data, Server(data) as s:
        body = gzip.compress(pprof(stacks, at, 10000, WINDOW, [("thread_name", "worker"), ("pid", 7)]))
        assert s.ingest(body, service="api", host="a", **{"from": at, "to": at + 10000}) == \
            (200, {"status": "stored", "samples": 3})
        assert s.ingest(pprof({("main", "idle"): 5}, at), service="db", host="b")[0] == 200

        assert [x["name"] for x in s.get("services")["services"]] == ["api", "db"]
        assert s.get("services")["services"][0]["total"] == {"cpu:nanoseconds": 60_000_000}
        assert s.get("types") == {"types": [{"name": "cpu:nanoseconds", "unit": "nanoseconds"}]}
        labels = {x["name"]: x for x in s.get("labels", service="api")["labels"]}
        assert labels["host"]["values"] == ["a"] and labels["host"]["kind"] == "series"
        assert labels["pid"]["values"] == ["7"] and labels["thread_name"]["values"] == ["worker"]

        top = s.get("top", service="api", type="cpu")
        assert top["total"] == 60_000_000
        assert {f["name"]: (f["self"], f["total"]) for f in top["functions"]} == \
            {"parse": (50_000_000, 50_000_000), "run": (10_000_000, 30_000_000), "main": (0, 60_000_000)}
        assert [f["name"] for f in s.get("top", service="api", order="total", limit=1)["functions"]] == ["main"]

        tree = s.get("tree", service="api", label=["pid:7"], by="thread_name")
        names = [tree["functions"][f]["name"] for f in tree["tree"]["func"]]
        assert names == ["all", "worker", "main", "run", "parse", "parse"] or \
            names == ["all", "worker", "main", "parse", "run", "parse"], names
        assert tree["tree"]["depth"][:3] == [0, 1, 2] and sum(tree["tree"]["self"]) == 60_000_000
        assert tree["profiles"] == 1 and tree["quality"]["lost"]["ring_full"] == 3
        assert tree["quality"]["lost_total"] == 3 and tree["quality"]["truncated"] == 2
        assert tree["quality"]["sources"] == ["bpf:cpu-clock"] and tree["quality"]["samples"] == 70
        assert tree["quality"]["unwind"] == ["tables"]
        assert s.get("tree", service="api", label=["pid:8"])["total"] == 0
        assert s.get("tree", service="nobody")["total"] == 0

        series = s.get("series", service="api", from_=at - 20000, to=at + 30000, step=10000)
        assert series["values"] == [None, None, 60_000_000, None, None]
        assert series["covered_ms"] == [0, 0, 10000, 0, 0]
        assert series["capacity_cores"] == [None, None, 4, None, None]
        # Measured, and nothing of it matches: 0, not a gap.
        series = s.get("series", service="api", from_=at, to=at + 10000, step=10000, label=["pid:8"])
        assert series["values"] == [0]
        spread = s.get("series", service="api", from_=at, to=at + 10000, step=2500)
        assert spread["values"] == [15_000_000] * 4

        status, body, r = s.ask("GET", "/api/v1/tree?format=slab&service=api", headers={"Accept-Encoding": "gzip"})
        body = gzip.decompress(body) if r.headers["Content-Encoding"] == "gzip" else body
        assert status == 200 and body[:8] == b"wickslab" and b"unnamed_share" in body
        state = s.get("status")
        assert state["accepting"] and state["reason"] is None and state["profiles"] == 2
        assert {"name": "a", "cpus": 4, "last_ms": at + 10000, "source": "bpf:cpu-clock", "unwind": "tables"} in state["hosts"]
        s.stop()


TABLE, POINTER = 2, 4  # numbers of docs/formats.md


@case
def profiles_from_otlp_exporters_are_shown_by_what_their_resources_say():
    at = NOW // 10000 * 10000 - 60000
    shop = {"service.name": "shop", "host.name": "a", "cloud.region": "eu"}
    window = {"time_ms": at, "duration_ms": 10000}
    cpu = {**window, "type": "cpu:nanoseconds", "comment": WINDOW, "samples": [
        (("main", "cart"), {"thread.name": "w"}, [10, 20, 30], [at + 1, at + 2, at + 9000]),
        (("main", "pay"), {"thread.name": "w", "service.name": "till"}, [7], [])]}
    later = {"type": "cpu:nanoseconds", "time_ms": at + 10000, "duration_ms": 10000,
             "samples": [(("main", "cart"), {}, [100], [])]}
    wall = {**window, "type": "wall:nanoseconds", "samples": [(("main", "cart"), {"thread.name": "w"}, [500], [])]}
    body = otlp((shop, [cpu, wall, later]), ({"k8s.deployment.name": "db", "k8s.node.name": "b"}, [cpu]))
    with Folder() as data:
        with Server(data) as s:
            assert s.otlp(gzip.compress(body), X_Wick_Key="one") == (200, None, 0)
            # As a sender does that heard no answer.
            assert s.otlp(gzip.compress(body), X_Wick_Key="one") == (200, None, 0)
            assert s.otlp(b"") == (200, None, 0)
            s.kill()
        with Server(data) as s:
            assert s.otlp(gzip.compress(body), X_Wick_Key="one") == (200, None, 0)
            assert {x["name"]: x["total"] for x in s.get("services")["services"]} == {
                "shop": {"cpu:nanoseconds": 160, "wall:nanoseconds": 500}, "till": {"cpu:nanoseconds": 14},
                "db": {"cpu:nanoseconds": 60}}
            labels = {x["name"]: x for x in s.get("labels", service="shop")["labels"]}
            assert labels["region"]["values"] == ["eu"] and labels["host"]["kind"] == "series"
            assert labels["thread_name"]["values"] == ["w"] and "service" not in labels
            top = s.get("top", service="shop")
            assert {f["name"]: f["self"] for f in top["functions"]} == {"cart": 160, "main": 0}
            series = s.get("series", service="shop", from_=at, to=at + 20000, step=10000)
            assert series["values"] == [60, 100], series
            assert s.get("tree", service="shop", label=["host:a"])["quality"]["sources"] == ["bpf:cpu-clock"]
            assert s.get("tree", service="till", label=["host:b"])["total"] == 7
            s.stop()


@case
def what_is_no_otlp_request_is_refused_in_its_own_encoding():
    good = {"type": "cpu:nanoseconds", "time_ms": NOW, "duration_ms": 10, "samples": [(("main",), {}, [1], [])]}
    bad = {**good, "samples": [(("main",), {}, [2 ** 64 - 5], [])]}
    with Folder() as data, Server(data) as s:
        status, text, _ = s.otlp(b"{}", Content_Type="application/json")
        assert status == 415 and "protobuf" in text
        status, text, _ = s.otlp(b"\x0a\x05")
        assert status == 400 and text == "at byte 1: ends inside a field"
        status, text, _ = s.otlp(gzip.compress(b"\x0a\x05"))
        assert status == 400 and text == "decompressed: at byte 1: ends inside a field"
        status, text, _ = s.otlp(pprof({("main",): 5}))
        assert status == 422 and "pprof" in text
        status, text, _ = s.otlp(otlp(({"service.name": "a"}, [good])), X_Wick_Key="no/key")
        assert status == 400 and "X-Wick-Key" in text
        status, text, _ = s.otlp(otlp(({"service.name": "a"}, [bad])))
        assert status == 400 and "negative" in text
        status, text, _ = s.otlp(otlp(({"service.name": "a\nb"}, [good])))
        assert status == 400 and "control characters" in text
        # What is good of it is kept, and the sender hears of the rest.
        status, text, n = s.otlp(otlp(({"service.name": "bad"}, [bad]), ({"service.name": "good"}, [good]),
                                      ({"service.name": "x" * 257}, [good])))
        assert status == 200 and n == 2 and "negative" in text
        assert [x["name"] for x in s.get("services")["services"]] == ["good"]
        assert s.get("status")["profiles"] == 1


@case
def a_request_that_the_disk_has_no_room_for_may_be_sent_again():
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    def request(i):
        profile = {"type": "cpu:nanoseconds", "time_ms": NOW, "duration_ms": 10,
                   "samples": [((f"f{random.random()}",), {}, [1], []) for _ in range(300)]}
        return otlp(({"service.name": f"a{i}"}, [profile]), ({"service.name": f"b{i}"}, [profile]))

    with Folder() as data:
        stored = 0
        with Server(data, preexec=limit) as s:
            body = request(stored)
            while (answer := s.otlp(body, X_Wick_Key=f"k{stored}"))[0] == 200:
                stored += 1
                body = request(stored)
            assert answer[0] == 507 and "cannot write" in answer[1], answer
            assert 0 < stored < 1000
            s.stop()
        with Server(data) as s:
            assert s.otlp(body, X_Wick_Key=f"k{stored}") == (200, None, 0)
            totals = {x["name"]: x["total"]["cpu:nanoseconds"] for x in s.get("services")["services"]}
            assert totals == {f"{c}{i}": 300 for c in "ab" for i in range(stored + 1)}, totals


@case
def a_request_of_another_profiler_loses_nothing():
    path = os.path.join(ROOT, "../shared/data/otlp/otel-ebpf-profile.pb")
    if not os.path.exists(path):
        raise Skip("no ../shared/data")
    with open(path, "rb") as f:
        body = f.read()
    with Folder() as data:
        with Server(data) as s:
            assert s.otlp(body) == (200, None, 0)
            before = s.get("services", from_=0, to="now")["services"]
            s.kill()
        with Server(data) as s:
            assert s.get("services", from_=0, to="now")["services"] == before
            assert sum(x["total"].get("samples:count", 0) for x in before) == 10
            names = [x["name"] for x in before]
            assert len(names) > 3 and all(n.startswith("unknown_service") for n in names), names
            # The same file, as ingest takes it: one service.
            assert s.ingest(body, service="all")[0] == 200
            whole = [x for x in s.get("services", from_=0, to="now")["services"] if x["name"] == "all"][0]
            for kind, total in whole["total"].items():
                assert sum(x["total"].get(kind, 0) for x in before) == total, kind


@case
def a_tree_says_how_its_frames_were_found():
    at = NOW - 30000
    with Folder() as data, Server(data) as s:
        body = pprof({("main", "f"): 5}, at, found={"main": TABLE, "f": TABLE})
        assert s.ingest(body, service="api", host="a")[0] == 200
        assert s.ingest(pprof({("main", "f"): 3}, at, found={"f": POINTER}), service="api", host="b")[0] == 200
        assert s.ingest(pprof({("main", "g"): 1}, at), service="plain")[0] == 200

        def found(**selection):
            tree = s.get("tree", **selection)
            names = [tree["functions"][f]["name"] for f in tree["tree"]["func"]]
            return dict(zip(names, tree["tree"].get("found", [None] * len(names))))

        merged = {"all": 0, "main": 1 << TABLE | 1, "f": 1 << TABLE | 1 << POINTER}
        assert found(service="api") == merged
        assert found(service="api", by="service") == merged | {"api": 0}
        assert found(service="api", label=["host:b"]) == {"all": 0, "main": 1, "f": 1 << POINTER}
        assert found(service="plain") == {"all": None, "main": None, "g": None}
        for service, there in ("api", True), ("plain", False):
            _, slab, _ = s.ask("GET", f"/api/v1/tree?format=slab&service={service}")
            assert (b"node.found" in slab) == there
        # A restart reads the same from the log.
        s.kill()
        with Server(data) as again:
            tree = again.get("tree", service="api")
            assert sorted(tree["tree"]["found"]) == sorted(merged.values())


@case
def incomplete_stacks_are_counted_by_reason_within_the_selection():
    at = NOW - 30000
    with Folder() as data, Server(data) as s:
        for value, labels in ((70, []), (20, [("stack_end", "jit")]), (25, [("stack_end", "depth_limit"), ("pid", 7)]),
                              (3, [("stack_end", "of the future")]), (2, [("stack_end", 12)])):
            body = pprof({("main", f"f{value}"): value}, at, labels=labels)
            assert s.ingest(body, service="api")[0] == 200
        assert s.ingest(pprof({("main",): 50}, at, labels=[("stack_end", "jit")]), service="db")[0] == 200

        def ends(path="tree", **selection):
            answer = s.get(path, **selection)
            return answer["total"], [(e["reason"], e["value"]) for e in answer["quality"]["stack_ends"]]

        api = (120, [("depth_limit", 25), ("jit", 20), (None, 5)])
        assert ends(service="api") == api, ends(service="api")
        assert ends("top", service="api") == api and ends(service="api", by="stack_end") == api
        assert ends()[1][0] == ("jit", 70)
        # The link of the page: what ended so, and nothing else.
        assert ends(service="api", label=["stack_end:jit"]) == (20, [("jit", 20)])
        assert ends(label=["stack_end:jit"]) == (70, [("jit", 70)])
        assert ends(service="api", focus="f70|f25") == (95, [("depth_limit", 25)])
        assert ends(service="api", from_=at + 20000) == (0, [])
        quality = s.get("tree", service="api")["quality"]
        assert abs(quality["truncated_share"] - 50 / 120) < 1e-9, quality
        texts = [e["text"] for e in quality["stack_ends"]]
        assert texts[0] == "deeper than the limit" and texts[1] == "code generated at run time" and "not heard" in texts[2]


@case
def losses_of_one_window_count_once_though_each_service_reports_them():
    with Folder() as data, Server(data) as s:
        for service in "a", "b", "c":
            assert s.ingest(pprof({("main",): 1}, comment=WINDOW), service=service, host="h")[0] == 200
        quality = s.get("tree", from_=NOW - 1000, to=NOW + 60000)["quality"]
        assert quality["lost_total"] == 3 and quality["samples"] == 3 * 70


@case
def how_windows_were_taken_is_said_once_each():
    ways = [("bpf:cycles", "tables"), ("bpf:cycles", "frame-pointers"), ("perf:cpu-clock", "frame-pointers"),
            ("bpf:cycles", "tables"), ("old", None)]
    with Folder() as data, Server(data) as s:
        for i, (source, unwind) in enumerate(ways):
            comment = f"wick.window source={source}" + (f" unwind={unwind}" if unwind else "") + " cpus=1 samples=1"
            assert s.ingest(pprof({("main",): 1}, comment=comment), service="s", host=f"h{i}")[0] == 200
        assert s.ingest(pprof({("main",): 1}), service="s", host="other tool")[0] == 200
        quality = s.get("tree")["quality"]
        assert quality["sources"] == ["bpf:cycles", "perf:cpu-clock", "old"], quality
        assert quality["unwind"] == ["tables", "frame-pointers"], quality
        hosts = {h["name"]: (h["source"], h["unwind"]) for h in s.get("status")["hosts"]}
        assert hosts["h1"] == ("bpf:cycles", "frame-pointers") and hosts["h4"] == ("old", "") and hosts["other tool"] == ("", "")


@case
def only_the_type_asked_for_is_stored():
    with Folder() as data, Server(data) as s:
        real = [p for p in real_profiles() if "heap" in p]
        if not real:
            raise Skip("../shared/data/pprof is absent")
        body = open(real[0], "rb").read()
        assert s.ingest(body, service="one", type="inuse_space")[0] == 200
        assert [t["name"] for t in s.get("types")["types"]] == ["inuse_space:bytes"]
        assert s.ingest(body, service="all", type="unheard-of")[0] == 200
        assert len(s.get("types")["types"]) > 1


@case
def the_page_and_its_files_are_served():
    with Folder() as data, Server(data) as s:
        status, body, r = s.ask("GET", "/")
        assert status == 200 and b"<html" in body.lower()
        assert "default-src 'self'" in r.headers["Content-Security-Policy"]
        assert s.ask("GET", "/", headers={"If-None-Match": r.headers["ETag"]})[0] == 304
        assert s.ask("GET", "/health")[0] == 200 and s.ask("GET", "/ready")[0] == 200
        assert s.ask("GET", "/nothing")[0] == 404


# ---- bad input ---------------------------------------------------------------

@case
def bad_bodies_are_refused_with_a_reason_and_do_no_harm():
    good = many_profiles()[0]
    plain = pprof({("main", "f"): 1})
    with Folder() as data, Server(data) as s:
        def refused(body, statuses, **params):
            status, answer = s.ingest(body, **({"service": "x"} | params))
            assert status in statuses, (status, answer, body[:40])
            assert answer["detail"] and answer["code"], answer
            return answer

        assert refused(b"", [400])["field"] == "body"
        assert refused(b"\x89PNG\r\n\x1a\n" + bytes(100), [400])["code"] == "malformed"
        refused(b"main;f 1\n", [400])
        refused(random.Random(1).randbytes(5000), [400, 422])
        refused(good[:len(good) // 2], [400])
        refused(good[:-1], [400])
        refused(gzip.compress(b""), [400, 422])
        for n in range(1, len(plain), 7):
            refused(plain[:n], [400, 422]) if n < len(plain) - 40 else s.ingest(plain[:n], service="x")
        # A profile, but not one to store: below zero, without types, with a type named by a book.
        answer = refused(pprof({("main",): (1 << 64) - 5}), [422])
        assert answer["code"] == "unsupported" and "negative" in answer["detail"]
        refused(nested(6, b"") + nested(6, b"only strings"), [422])
        refused(nested(1, number(1, 1) + number(2, 2)) + nested(6, b"") + nested(6, b"c" * 300) + nested(6, b"n"), [422])
        # A bomb: 300 MB in 300 KB.
        bomb = gzip.compress(nested(6, bytes(1 << 20)) * 300, 9)
        assert refused(bomb, [413])["limit"] > 0
        # Refused by its announced length, before a byte of it is sent.
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.sendall(b"POST /api/v1/ingest?service=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n")
            answer = c.makefile("rb").read()
            assert b" 413 " in answer and b'"limit":33554432' in answer, answer
        chunks = (bytes(1 << 20) for _ in range(40))
        try:
            status, _, _ = s.ask("POST", "/api/v1/ingest?service=x", chunks)
            assert status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up while we were still talking
        for params, field in (({"service": ""}, "service"), ({"key": "a b"}, "key"), ({"key": "k" * 65}, "key"),
                              ({"service": "s" * 257}, "service"), ({"from": "-1"}, "from"), ({"to": "x"}, "to"),
                              ({"from": "20", "to": "10"}, "from"), ({"colour": "red"}, "colour")):
            assert refused(good, [400], **params)["field"] == field
        assert s.ask("POST", "/api/v1/ingest?service=%ff", good)[0] == 400
        assert s.ask("POST", "/api/v1/ingest?service=a&service=b", good)[0] == 400
        assert s.ask("GET", "/api/v1/ingest")[0] == 405
        assert s.metric("wick_ingest_malformed_total") > 5
        assert s.ingest(good, service="good")[0] == 200
        assert [x["name"] for x in s.get("services", from_=0)["services"]].count("good") == 1
        s.stop()


@case
def bad_questions_name_the_parameter():
    with Folder() as data, Server(data) as s:
        for query, field in (("from=yesterday", "from"), ("to=now-5", "to"), ("from=now&to=now-1h", "from"),
                             ("label=pid", "label"), ("max_nodes=0", "max_nodes"), ("max_nodes=9e9", "max_nodes"),
                             ("format=xml", "format"), ("max_node=5", "max_node"), ("from=1&from=2", "from"),
                             ("focus=(a", "focus"), ("show_from=%ff", "show_from"), ("hide=", "hide"),
                             ("tag=size=2mb:1mb", "tag"), ("tag_ignore=a%0ab", "tag_ignore"),
                             ("ignore=" + "a" * 1025, "ignore"), ("&".join(["show=a"] * 17), "show")):
            status, body, _ = s.ask("GET", f"/api/v1/tree?{query}")
            assert status == 400 and json.loads(body)["field"] == field, (query, body)
        assert s.ask("GET", "/api/v1/series?step=1&from=0")[0] == 400
        assert s.ask("GET", "/api/v1/tree?from=now-15m&to=now&service=&by=host")[0] == 200


@case
def filters_choose_samples_and_frames():
    at = NOW // 10000 * 10000 - 60000
    stacks = {("main", "parse", "read"): 30, ("main", "parse"): 10, ("main", "draw", "read"): 20, ("idle",): 40}
    with Folder() as data, Server(data) as s:
        assert s.ingest(pprof(stacks, at, 10000, "", [("thread_name", "ui"), ("pid", 7)]), service="a")[0] == 200
        assert s.ingest(pprof({("main", "draw"): 5}, at, 10000, "", [("thread_name", "gpu")]), service="a")[0] == 200
        assert s.ingest(pprof({("main", "other"): 1}, at), service="b")[0] == 200

        def left(**params):
            top = s.get("top", **params)
            tree = s.get("tree", **params)
            assert top["total"] == tree["total"] == sum(tree["tree"]["self"]), params
            series = s.get("series", from_=at, to=at + 10000, step=10000, **params)
            assert series["values"] == [top["total"]], (params, series["values"], top["total"])
            return {f["name"]: (f["self"], f["total"]) for f in top["functions"]}

        assert left(focus="^read$") == {"read": (50, 50), "main": (0, 50), "parse": (0, 30), "draw": (0, 20)}
        assert left(focus="^read$", ignore="draw") == {"read": (30, 30), "main": (0, 30), "parse": (0, 30)}
        assert left(hide="read|other", service="a")["parse"] == (40, 40)
        assert left(show="^(read|idle)$") == {"idle": (40, 40), "read": (50, 50)}
        assert left(show_from="draw|parse") == {"parse": (10, 40), "draw": (5, 25), "read": (50, 50)}
        assert left(tag="thread_name=gpu") == {"draw": (5, 5), "main": (0, 5)}
        assert left(tag_ignore="pid=1:9", label=["thread_name:gpu"]) == {"draw": (5, 5), "main": (0, 5)}
        assert left(focus="nobody") == {}
        assert sum(x[0] for x in left().values()) == 106

        tree = s.get("tree", by="thread_name", focus="main", ignore="other")
        names = [tree["functions"][f]["name"] for f in tree["tree"]["func"]]
        assert names[:2] == ["all", "ui"] and "gpu" in names and "(none)" not in names, names


@case
def a_pattern_that_backtracks_without_end_is_refused_at_once():
    with Folder() as data, Server(data) as s:
        names = ("main", "a" * 200 + "!")
        assert s.ingest(pprof({names: 5}, labels=[("user", "a" * 200 + "!")]), service="a")[0] == 200
        for path, query, field in (("tree", "focus=^(a%2B)%2B$", "focus"), ("top", "hide=^(a|aa)%2B$", "hide"),
                                   ("series", "tag=user=^(a%2B)%2B$", "tag")):
            began = time.monotonic()
            status, body, _ = s.ask("GET", f"/api/v1/{path}?{query}")
            answer = json.loads(body)
            assert status == 400 and answer["field"] == field, (query, body)
            assert answer["detail"].startswith(f'{field}: the pattern needs too much work on "aaaa'), body
            assert time.monotonic() - began < 10
        assert s.get("top", focus="main")["total"] == 5


@case
def other_sites_cannot_use_the_browser_to_get_in():
    with Folder() as data, Server(data) as s:
        assert s.ask("GET", "/api/v1/status", headers={"Host": "rebound.example"})[0] == 403
        assert s.ask("POST", "/api/v1/ingest?service=x", b"x", {"Origin": "http://evil.example"})[0] == 403
        assert s.metric("wick_http_foreign_total") == 2


# ---- acknowledged means stored, once -----------------------------------------

def post_all(server, jobs, acked, n_threads=4):
    """Posts (service, key, body) until the server goes away."""
    def post(job):
        service, key, body = job
        try:
            status, answer = server.ingest(body, service=service, key=key)
        except (OSError, http.client.HTTPException, ValueError):
            return
        if status == 200:
            acked[service] = answer["status"]

    with concurrent.futures.ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(post, jobs))


def totals_by_service(server):
    return {x["name"]: x["total"] for x in server.get("services", from_=0)["services"]}


@case
def nothing_acknowledged_is_lost_and_nothing_is_stored_twice_through_kill_9():
    bodies = many_profiles()
    n, kills = (1000, 3) if SANITIZER == "none" else (300, 2)
    kills = int(os.environ.get("WICK_KILLS", kills))
    jobs = [(f"s{i}", f"key-{i}", bodies[i % len(bodies)]) for i in range(n)]
    # A type of a profile all of whose values are 0 has no say in the order of services.
    with Folder() as data:
        with Server(data) as s:
            for i, body in enumerate(bodies):
                assert s.ingest(body, service=f"reference{i}")[0] == 200
            reference = totals_by_service(s)
            s.stop()
        rng = random.Random(os.getpid())
        for _ in range(kills):
            acked = {}
            with Server(data) as s:
                already = set(totals_by_service(s))
                poster = threading.Thread(target=post_all, args=(s, jobs, acked))
                poster.start()
                wanted = rng.randrange(1, n)
                wait_for(lambda: len(acked) >= wanted or not poster.is_alive(), "ingests")
                s.kill()
                poster.join()
            assert all(acked[name] == "duplicate" for name in already if name in acked)
            with Server(data) as s:
                after = totals_by_service(s)
                missing = [name for name in acked if name not in after]
                assert not missing, f"{len(missing)} of {len(acked)} acknowledged are gone"
        acked = {}
        with Server(data) as s:
            post_all(s, jobs, acked)
            assert len(acked) == n
            after = totals_by_service(s)
            for i in range(n):
                assert after[f"s{i}"] == reference[f"reference{i % len(bodies)}"], f"s{i} is not stored exactly once"
            assert s.get("status")["profiles"] == n + len(bodies)
            s.stop()
        with Server(data) as s:
            assert totals_by_service(s) == after
            print("# " + "".join(x for x in s.lines if "replayed" in x).strip())


@case
def two_at_once_with_one_key_are_one():
    body = gzip.compress(pprof({("main",): 1}))
    with Folder() as data, Server(data) as s:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: s.ingest(body, service="x", key=f"k{i // 8}"), range(160)))
        assert all(status == 200 for status, _ in answers)
        assert [a["status"] for _, a in answers].count("stored") == 20
        assert s.get("top", from_=NOW - 1000, to=NOW + 60000)["total"] == 20


@case
def a_torn_end_is_cut_and_a_damaged_middle_costs_one_profile():
    with Folder() as data:
        with Server(data) as s:
            for i in range(20):
                assert s.ingest(pprof({("main", f"f{i}"): 1}), service="x")[0] == 200
            s.kill()
        path, = segments(data)
        raw = bytearray(open(path, "rb").read())
        raw[len(raw) // 2] ^= 0x40
        open(path, "wb").write(raw + b"wrec half a record")
        with Server(data) as s:
            assert s.get("top", from_=NOW - 1000, to=NOW + 60000)["total"] == 19
            text = "".join(s.lines)
            assert "cut the torn end" in text and "places=1" in text
            assert s.ingest(pprof({("main", "new"): 1}), service="x")[0] == 200
            s.kill()
        with Server(data) as s:
            assert s.get("top", from_=NOW - 1000, to=NOW + 60000)["total"] == 20


# ---- limits --------------------------------------------------------------------

@case
def selectors_in_the_words_of_promql_choose_series_and_samples():
    with Folder() as data, Server(data) as s:
        for service, host, n in (("api", "web-1", 1), ("api", "web-2", 2), ("db", "web-1", 4)):
            assert s.ingest(pprof({("main", service): n}), service=service, host=host)[0] == 200
        for query, total in (('{service="api"}', 3), ('cpu{service!="api"}', 4), ('{host=~"web-.*"}', 7),
                             ('cpu:nanoseconds{service=~"a.*",host!~".*-2"}', 1), ('{service=~"a"}', 0), ('{}', 7)):
            answer = s.get("top", query=query)
            assert answer["total"] == total, (query, answer["total"])
            assert answer["stats"]["exact"] and answer["stats"]["resolutions"] in (["raw"], []), answer["stats"]
        for query, word in (('{service="api"', "}"), ('{service=~"("}', "parenthes"), ('{service}', "expected")):
            status, body, _ = s.ask("GET", "/api/v1/top?query=" + urllib.parse.quote(query))
            answer = json.loads(body)
            assert status == 400 and answer["field"] == "query" and word in answer["detail"], answer
        status, body, _ = s.ask("GET", "/api/v1/top?type=wall&query=" + urllib.parse.quote('cpu{}'))
        assert status == 400 and "wall" in json.loads(body)["detail"]


@case
def a_diff_says_which_functions_moved_and_profiles_where():
    with Folder() as data, Server(data) as s:
        hour = 3600 * 1000
        for at, shares in ((NOW - 3 * hour, {("main", "f"): 30, ("main", "g"): 70}), (NOW - hour, {("main", "f"): 60, ("main", "g"): 40})):
            for host in ("a", "b"):
                assert s.ingest(pprof(shares, at), service="api", host=host)[0] == 200
        assert s.ingest(pprof({("main", "f"): 500}, NOW - hour + 60000), service="db", host="c")[0] == 200
        d = s.get("diff", service="api", from_=NOW - 2 * hour, to=NOW, base_from=NOW - 4 * hour, base_to=NOW - 2 * hour)
        assert (d["total_a"], d["total_b"]) == (200, 200)
        changed = {f["name"]: f["total"] for f in d["functions"]}
        assert set(changed) == {"f", "g"} and abs(changed["f"]["delta"] - 0.3) < 1e-9 and changed["g"]["b"] == 80, d
        assert s.ask("GET", "/api/v1/diff?base_from=5&base_to=5")[0] == 400
        p = s.get("profiles", from_=NOW - 4 * hour, focus="^f$", limit=3)
        assert p["profiles"] == 5 and [(x["service"], x["value"]) for x in p["largest"]] == [("db", 500), ("api", 60), ("api", 60)], p
        assert p["largest"][0]["host"] == "c" and p["largest"][0]["from_ms"] == NOW - hour + 60000
        h = s.get("heatmap", service="db", from_=NOW - hour + 60000, to=NOW - hour + 80000, column=10000, rows=10)
        assert h["timed_share"] == 0 and abs(sum(map(sum, h["columns"])) - 500) < 1e-6
        assert s.ask("GET", "/api/v1/heatmap?column=1000&rows=7")[0] == 400


@case
def a_diff_tells_chance_from_change_where_samples_have_times():
    def window(at, counts):
        return {"type": "cpu:nanoseconds", "time_ms": at, "duration_ms": 10000,
                "samples": [(("main", name), {}, [10_000_000] * n, [at + k * 7 % 9000 for k in range(n)]) for name, n in counts.items()]}

    with Folder() as data, Server(data) as s:
        a, b = NOW - 7200 * 1000, NOW - 3600 * 1000
        base = window(a, {"f": 300, "g": 690, "old": 10})
        now = window(b, {"f": 500, "g": 490, "new": 10})
        assert s.otlp(gzip.compress(otlp(({"service.name": "api"}, [base, now]))))[0] == 200
        ask = {"service": "api", "from_": b, "to": b + 10000, "base_from": a, "base_to": a + 10000}
        d = s.get("diff", order="self", **ask)
        assert (round(d["samples_a"]), round(d["samples_b"])) == (1000, 1000), d
        f = {x["name"]: x["self"] for x in d["functions"]}
        assert f["f"]["significant"] and 0.15 < f["f"]["low"] < 0.2 < f["f"]["high"] < 0.25, f["f"]
        assert f["new"]["a"] == 0 and f["old"]["b"] == 0
        assert s.ingest(pprof({("main", "f"): 10**12}, b), service="api")[0] == 200
        d = s.get("diff", **ask)
        assert d["samples_b"] is None and "significant" not in d["functions"][0]["total"], d
        query = urllib.parse.urlencode({"service": "api", "from": b, "to": b + 10000, "base_from": a, "base_to": a + 10000,
                                        "format": "slab", "max_nodes": 4})
        status, body, _ = s.ask("GET", "/api/v1/diff?" + query)
        assert status == 200 and body.startswith(b"wickslab") and b"node.verdict" in body and b'"whole_a":10000000000,' in body
        names = {f["name"] for f in s.get("diff", by="service", **ask)["functions"]}
        assert {"f", "g", "old"} <= names and "api" not in names, "the share of the only service is all of both"
        assert s.ask("GET", "/api/v1/diff?format=svg")[0] == 400


@case
def what_is_deleted_is_gone_and_stays_gone():
    with Folder() as data:
        with Server(data) as s:
            for service, host in (("api", "web-1"), ("api", "web-2"), ("secret-service", "web-1")):
                for age in (3600, 60):
                    assert s.ingest(pprof({("main", service): 1}, NOW - age * 1000), service=service, host=host)[0] == 200
            start = NOW - 7200 * 1000
            for query, word in (("", "missing"), ("{}", "everything"), ("cpu{service=\"api\"}", "type"),
                                ("{thread_name=\"gc\"}", "samples"), ("{service=", "expected")):
                status, body, _ = s.ask("POST", f"/api/v1/deletions?from=0&to={NOW}&query=" + urllib.parse.quote(query))
                assert status == 400 and word in json.loads(body)["detail"], body
            assert s.ask("POST", "/api/v1/deletions?from=5&to=5&query=" + urllib.parse.quote('{service="api"}'))[0] == 400

            def delete(query, to):
                status, body, _ = s.ask("POST", f"/api/v1/deletions?from=0&to={to}&query=" + urllib.parse.quote(query))
                assert status == 202 and json.loads(body)["state"] == "pending", body
                wait_for(lambda: s.get("deletions")["deletions"][-1]["state"] == "applied", "the deletion")
                return s.get("deletions")["deletions"][-1]["profiles"]
            assert delete('{service=~"secret.*"}', NOW) == 2
            assert delete('{service="api",host="web-2"}', NOW - 600 * 1000) == 1
            assert s.get("top", from_=start)["total"] == 3
            assert [x["name"] for x in s.get("services", from_=start)["services"]] == ["api"]
            # Neither its name nor its functions are left in the files; of the request, what was asked for is.
            for folder in ("blocks", "wal"):
                for path in glob.glob(os.path.join(data, folder, "*")):
                    assert b"secret" not in open(path, "rb").read(), path
            assert s.ingest(pprof({("main",): 1}, NOW - 3600 * 1000), service="secret-service")[0] == 200
            s.kill()
        with Server(data) as s:
            assert s.get("top", from_=start)["total"] == 4
            assert len(s.get("deletions")["deletions"]) == 2


@case
def what_memory_has_no_room_for_goes_to_blocks_and_nothing_is_lost():
    n = 400 if SANITIZER == "none" else 120
    with Folder() as data:
        with Server(data, "--memory-limit", "64M") as s:
            rng = random.Random(3)
            for i in range(n):
                stacks = {("main", *(f"f{rng.randrange(300)}" for _ in range(6)), f"g{k}"): 1 for k in range(2000)}
                status, answer = s.ingest(gzip.compress(pprof(stacks, NOW - (n - i) * 20000), 1), service="x", key=f"k{i}")
                assert status == 200, answer
            start = NOW - n * 20000
            wait_for(lambda: s.metric("wick_store_flushes_total") > 1, "blocks")
            assert s.get("top", from_=start, to=start + 45000)["total"] == 3 * 2000
            assert sum(v or 0 for v in s.get("series", from_=start, step=60000)["values"]) == n * 2000
            # The key of a profile that a block holds.
            assert s.ingest(gzip.compress(pprof({("again",): 1})), service="x", key="k0")[1]["status"] == "duplicate"
            state = s.get("status")
            assert state["accepting"] and state["profiles"] == n and state["blocks"] > 0, state
            assert state["memory"]["used"] <= state["memory"]["limit"]
            resident = s.metric("wick_process_resident_bytes")
            print(f"# {n} profiles, {state['blocks']} blocks, resident {resident >> 20} MiB of 64")
            assert SANITIZER != "none" or resident < 64 << 20
            s.kill()
        with Server(data, "--memory-limit", "64M") as s:
            assert s.get("status")["profiles"] == n
            assert sum(v or 0 for v in s.get("series", from_=start, step=60000)["values"]) == n * 2000
            assert s.ingest(gzip.compress(pprof({("again",): 1})), service="x", key="k0")[1]["status"] == "duplicate"


class Live:
    """A WebSocket client, as far as this test needs one."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                             f"Origin: http://localhost\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline() != b"\r\n":
            pass

    def event(self):
        while True:
            first, size = self.file.read(2)
            if size == 126:
                size, = struct.unpack(">H", self.file.read(2))
            data = self.file.read(size)
            if first == 0x81:
                return json.loads(data)

    def close(self):
        self.file.close()
        self.socket.close()


@case
def open_pages_learn_of_profiles_and_of_a_full_disk():
    with Folder() as data:
        with Server(data, "--disk-limit", "100K") as s:
            live = Live(s)
            hello = live.event()
            assert hello["event"] == "hello"
            assert s.ingest(pprof({("main",): 1}), service="api")[0] == 200
            event = live.event()
            assert event["event"] == "profiles" and event["services"] == ["api"] and event["accepting"]
            assert event["seq"] > hello["seq"] and event["newest_ms"] == NOW + 10000
            status, stored = 200, 1
            while status == 200:
                body = gzip.compress(pprof({(f"f{random.random()}",): 1 for _ in range(300)}))
                status, answer = s.ingest(body, service="big")
                stored += status == 200
            assert status == 507 and "--disk-limit" in answer["detail"] and answer["limit"] == 100 << 10, answer
            while event["accepting"]:
                event = live.event()
            assert "--disk-limit" in s.get("status")["reason"]
            live.close()
            s.stop()
        with Server(data) as s:
            assert s.get("status")["profiles"] == stored and s.get("status")["accepting"]


@case
def a_write_that_fails_is_not_acknowledged_and_what_was_stays():
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with Folder() as data:
        acked = {}
        with Server(data, preexec=limit) as s:
            status, i = 200, 0
            while status == 200:
                body = gzip.compress(pprof({(f"f{random.random()}",): 1 for _ in range(300)}))
                status, answer = s.ingest(body, service=f"s{i}", key=f"k{i}")
                if status == 200:
                    acked[f"s{i}"] = body
                i += 1
            assert status == 507 and "cannot write" in answer["detail"], answer
            assert set(totals_by_service(s)) == set(acked)
            s.stop()
        with Server(data) as s:
            assert set(totals_by_service(s)) == set(acked)
            assert "torn" not in "".join(s.lines)
            assert s.ingest(body, service="last", key=f"k{i - 1}") [1]["status"] == "stored"


@case
def a_query_whose_client_has_gone_is_given_up():
    with Folder() as data, Server(data) as s:
        assert s.ingest(pprof({("main",): 1}), service="api")[0] == 200

        def ask_and_go():
            with socket.create_connection(("127.0.0.1", s.port)) as c:
                c.sendall(b"GET /api/v1/tree?service=api HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return s.metric("wick_queries_cancelled_total") > 0

        wait_for(ask_and_go, "a query given up")
        assert s.get("tree", service="api")["total"] == 1
        s.stop()


@case
def a_slow_client_holds_nobody_up():
    with Folder() as data, Server(data) as s:
        slow = []
        for _ in range(50):
            c = socket.create_connection(("127.0.0.1", s.port))
            c.sendall(b"POST /api/v1/ingest?service=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n1")
            slow.append(c)
        assert s.ingest(pprof({("main",): 1}), service="fast")[0] == 200
        for c in slow:
            c.close()
        wait_for(lambda: s.metric("wick_http_bodies_bytes") == 0, "bodies given back")
        s.stop()


@case
def clients_that_do_not_read_what_they_asked_for_cost_a_bounded_amount():
    stacks = {("main", f"a{i % 50}", f"function_with_a_long_name_{i}_{random.random()}"): 1 for i in range(15000)}
    with Folder() as data, Server(data, "--memory-limit", "64M") as s:
        assert s.ingest(gzip.compress(pprof(stacks)), service="x")[0] == 200
        asked = b"GET /api/v1/tree?from=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        greedy = []
        for _ in range(12):
            c = socket.socket()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.connect(("127.0.0.1", s.port))
            c.sendall(asked * 10)  # more than the kernel buffers
            greedy.append(c)
        wait_for(lambda: s.metric("wick_http_refused_answers_total") > 0, "a refusal")
        assert s.metric("wick_http_answers_bytes") <= 4 << 20
        assert s.ask("GET", "/health")[0] == 200
        for c in greedy:
            c.close()
        # What they had asked for already may still be under way.
        wait_for(lambda: s.metric("wick_http_answers_bytes") == 0, "answers given up")
        wait_for(lambda: s.ask("GET", "/api/v1/tree?from=0")[0] == 200, "room for others")
        s.stop()


# ---- start and end ---------------------------------------------------------------

def start_fails(*args, **kw):
    r = subprocess.run([SERVER, *args], capture_output=True, text=True, timeout=60, **kw)
    assert r.returncode != 0 and len(r.stderr.splitlines()) == 1, (args, r)
    return r.stderr


@case
def what_keeps_it_from_starting_is_one_line_with_the_remedy():
    with Folder() as data, Server(data) as s:
        assert "in use" in start_fails("--listen", "127.0.0.1:0", "--data", data)
        with Folder() as other:
            assert "--listen" in start_fails("--listen", f"127.0.0.1:{s.port}", "--data", other)
            file = os.path.join(other, "file")
            open(file, "w").close()
            assert "--data" in start_fails("--listen", "127.0.0.1:0", "--data", file + "/below")
            assert "--insecure" in start_fails("--listen", "0.0.0.0:0", "--data", other)
            assert "ADDRESS:PORT" in start_fails("--listen", "nowhere", "--data", other)
            assert "--memory-limit" in start_fails("--memory-limit", "lots", "--data", other)
            assert "--help" in start_fails("--colour", "--data", other)

            def limit():
                resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            assert "free some space" in start_fails("--listen", "127.0.0.1:0", "--data", other + "/full", preexec_fn=limit)


@case
def sigterm_answers_what_is_under_way_and_ends_well():
    with Folder() as data:
        acked = {}
        body = many_profiles()[0]
        with Server(data) as s:
            poster = threading.Thread(target=post_all, args=(
                s, [(f"s{i}", f"k{i}", body) for i in range(2000)], acked))
            poster.start()
            wait_for(lambda: len(acked) > 20, "ingests")
            live = Live(s)
            s.stop()
            poster.join()
            live.close()
        with Server(data) as s:
            assert set(acked) <= set(totals_by_service(s))


if not os.access(SERVER, os.X_OK):
    sys.exit(f"{SERVER} is not there: build it first")
run()
