#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""blocks_test.py [SANITIZER]: what wick-server writes to blocks, read by a reader that knows the text of the format only, and
by itself after it was killed.

WICK_BLOCK_KILLS: how often the server is killed (20). Needs the standard library, and for the other reader libzstd and libxxhash."""

import collections
import concurrent.futures
import http.client
import os
import random
import sys
import threading
import time
import urllib.parse

ROOT = os.environ.get("WICK_SOURCE_ROOT", os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import blockreader  # noqa: E402
from serverprocess import SERVER, Folder, Server, nested, number, wait_for  # noqa: E402
from tap import Skip, case, run  # noqa: E402

SANITIZER = sys.argv[1] if len(sys.argv) > 1 else "none"
DAY = 86_400_000
T0 = int(time.time() * 1000) // DAY * DAY - 6 * DAY
TYPE = "cpu:nanoseconds"


def pprof(stacks, time_ms, duration_ms=10000, thread=None, types=1):
    """stacks: {("main", "f"): ns}, root first; of `types` types, each with these values."""
    strings = ["", "cpu", "nanoseconds", "thread_name", thread or ""] + [f"type{i}" for i in range(types - 1)]
    functions = {name: i for i, name in enumerate(sorted({n for stack in stacks for n in stack}), 1)}
    body = b"".join(nested(1, number(1, 4 + i if i else 1) + number(2, 2)) for i in range(types))
    for stack, value in stacks.items():
        label = nested(3, number(1, 3) + number(2, 4)) if thread else b""
        body += nested(2, b"".join(number(1, functions[n]) for n in reversed(stack)) + number(2, value) * types + label)
    for name, i in functions.items():
        strings.append(name)
        body += nested(4, number(1, i) + nested(4, number(1, i))) + nested(5, number(1, i) + number(2, len(strings) - 1))
    body += number(9, time_ms * 1_000_000) + number(10, duration_ms * 1_000_000)
    return body + b"".join(nested(6, s.encode()) for s in strings)


def reader():
    try:
        blockreader.libraries()
    except blockreader.Missing as why:
        raise Skip(str(why)) from why


def blocks_folder(data):
    return os.path.join(data, "blocks")


def check_files(data, manifest):
    """No file that the manifest does not name."""
    assert sorted(os.listdir(blocks_folder(data))) == sorted([b + ".blk" for b in manifest.blocks] + ["manifest"])


# ---- what was sent is what is in the blocks -----------------------------------------

class Sent:
    """Profiles of a few services over days, and what they add up to."""

    def __init__(self, n, seed):
        self.rng = random.Random(seed)
        self.profiles = [self.one(i) for i in range(n)]

    def one(self, i):
        pick = self.rng.randrange
        service, host, thread = f"s{pick(3)}", f"h{pick(2)}", ("", "worker", "main")[pick(3)]
        at = T0 + pick(3) * DAY + pick(DAY // 1000) * 1000
        stacks = {("main", *(f"f{pick(6)}" for _ in range(1 + pick(3))), f"leaf{pick(5)}"): (1 + pick(50)) * 10_000_000
                  for _ in range(1 + pick(12))}
        return f"key-{i}", service, host, thread, at, stacks

    def send(self, server):
        for key, service, host, thread, at, stacks in self.profiles:
            status, answer = server.ingest(pprof(stacks, at, thread=thread), service=service, host=host, key=key)
            assert (status, answer["status"]) == (200, "stored"), answer

    def rows(self):
        """{(service, host, stack, thread, start): ns}"""
        out = collections.Counter()
        for _, service, host, thread, at, stacks in self.profiles:
            for stack, value in stacks.items():
                out[service, host, stack, thread, at] += value
        return out


def rows_of(blocks):
    out, profiles = collections.Counter(), 0
    for block in blocks:
        for series in block.series:
            assert series.type == TYPE and series.host == series.labels["host"]
            for chunk in block.chunks(series, blockreader.RAW):
                profiles += chunk.profiles
                assert chunk.duration_ms == 10000
                for stack, labels, value in chunk.rows:
                    thread = "".join(label.text for label in labels if label.key == "thread_name")
                    out[series.labels["service"], series.host, stack, thread, chunk.from_ms] += value
    return out, profiles


def fold(rows, *places):
    out = collections.Counter()
    for row, value in rows.items():
        out[tuple(row[p] for p in places)] += value
    return out


def check_answers(server, rows):
    """The server says what was sent, of all days and of parts of them."""
    totals = {s["name"]: s["total"][TYPE] for s in server.get("services", from_=T0)["services"]}
    assert totals == {service: v for (service,), v in fold(rows, 0).items()}
    for service in totals:
        own = {row: v for row, v in rows.items() if row[0] == service}
        for start, end in ((T0, T0 + 7 * DAY), (T0 + DAY, T0 + 2 * DAY), (T0 + DAY // 3, T0 + 2 * DAY + 12345678)):
            # A profile counts whole when it meets the range.
            want = sum(v for row, v in own.items() if row[4] < end and row[4] + 10000 > start)
            tree = server.get("tree", service=service, from_=start, to=end)
            assert (tree["total"], sum(tree["tree"]["self"])) == (want, want), (service, start, tree["total"], want)
        leaves = collections.Counter()
        for row, v in own.items():
            leaves[row[2][-1]] += v
        top = server.get("top", service=service, from_=T0, limit=1000)
        assert {f["name"]: f["self"] for f in top["functions"] if f["self"]} == leaves
        step = 6 * 3600_000
        series = server.get("series", service=service, from_=T0, to=T0 + 4 * DAY, step=step)
        assert sum(v or 0 for v in series["values"]) == sum(own.values())


@case
def another_reader_finds_in_the_blocks_what_was_sent():
    reader()
    n = 600 if SANITIZER == "none" else 300
    sent = Sent(n, 1)
    rows = sent.rows()
    with Folder() as data:
        with Server(data, "--flush-size", "12K") as s:
            sent.send(s)
            # Four of a level become one with sums: several days, many blocks.
            wait_for(lambda: s.metric("wick_store_compactions_total") >= 3, "merges")
            check_answers(s, rows)
            s.kill()
        with Server(data, "--flush-age", "1s") as s:
            check_answers(s, rows)
            wait_for(lambda: s.metric("wick_store_memory_bytes") < 100_000 and s.metric("wick_store_log_bytes") < 1000,
                     "all of it in blocks")
            check_answers(s, rows)
            state = s.get("status")
            assert state["profiles"] == n and state["damaged_blocks"] == 0
            s.stop()
        manifest, blocks = blockreader.read_folder(blocks_folder(data))
        check_files(data, manifest)
        found, profiles = rows_of(blocks)
        assert found == rows and profiles == n == sum(b.meta["profiles"] for b in blocks)
        # check() compared every step with the finer ones; here they are what was sent, too.
        summed = [b for b in blocks if b.meta["resolutions"] == 15]
        assert summed and len(blocks) < 40, (len(summed), len(blocks))
        for resolution in (blockreader.FIVE_MINUTES, blockreader.HOUR, blockreader.DAY):
            assert blockreader.sums(summed, resolution) == blockreader.sums(summed, blockreader.RAW)
        keys = {(k.low, k.high) for b in blocks for k in b.keys}
        assert keys == {blockreader.hash_key(p[0].encode(), manifest.key_seed) for p in sent.profiles}
        print(f"# {n} profiles in {len(blocks)} blocks, {len(summed)} with sums")


@case
def a_damaged_block_costs_what_is_in_it_and_is_said():
    reader()
    sent = Sent(200, 2)
    with Folder() as data:
        with Server(data, "--flush-size", "12K") as s:
            sent.send(s)
            wait_for(lambda: s.metric("wick_store_flushes_total") >= 2, "blocks")
            s.stop()
        _, blocks = blockreader.read_folder(blocks_folder(data))
        victim = blocks[0]
        with open(victim.path, "r+b") as f:
            f.seek(len(victim.data) - 3)
            f.write(b"?")
        lost, n_lost = rows_of([victim])
        with Server(data) as s:
            rows = sent.rows()
            rows.subtract(lost)
            assert "damaged=1" in "".join(s.lines)
            check_answers(s, +rows)
            state = s.get("status")
            assert state["damaged_blocks"] == 1 and state["profiles"] == 200 - n_lost
            s.stop()
        with open(victim.path, "r+b") as f:
            f.write(victim.data)
        with Server(data) as s:
            check_answers(s, sent.rows())


@case
def a_deletion_leaves_blocks_that_say_how_many_profiles_they_have():
    reader()
    with Folder() as data:
        with Server(data) as s:
            for i in range(12):
                body = pprof({("main", f"f{i}"): 1000}, T0 + i // 4 * 1000, types=1 + 2 * (i % 2))
                assert s.ingest(body, service=f"s{i % 3}", key=f"k{i}")[0] == 200
            query = urllib.parse.quote('{service="s1"}')
            assert s.ask("POST", f"/api/v1/deletions?from={T0}&to={T0 + 2000}&query={query}")[0] == 202
            wait_for(lambda: s.get("deletions")["deletions"][0]["state"] == "applied", "the deletion")
            # 1, 4 and 7; 10 starts later.
            assert s.get("deletions")["deletions"][0]["profiles"] == 3
            assert s.get("status")["profiles"] == 9
            s.stop()
        _, blocks = blockreader.read_folder(blocks_folder(data))
        assert [b.meta["profiles"] for b in blocks] == [9]


@case
def a_lost_manifest_is_made_anew_as_the_text_says():
    reader()
    sent = Sent(150, 3)
    with Folder() as data:
        with Server(data, "--flush-size", "12K") as s:
            sent.send(s)
            wait_for(lambda: s.metric("wick_store_compactions_total") >= 1, "a merge")
            s.kill()
        before = blockreader.Manifest(blocks_folder(data))
        names = blockreader.unreplaced(blocks_folder(data))
        os.unlink(os.path.join(blocks_folder(data), "manifest"))
        with Server(data, "--flush-age", "1d", "--flush-size", "1G") as s:
            assert any("made anew" in line and "idempotency_keys=recovered" in line for line in s.lines)
            assert s.get("status")["profiles"] == 150
            check_answers(s, sent.rows())
            for key, service, host, thread, at, stacks in sent.profiles[:20]:
                _, answer = s.ingest(pprof(stacks, at, thread=thread), service=service, host=host, key=key)
                assert answer["status"] == "duplicate", answer
            s.kill()
        manifest, blocks = blockreader.read_folder(blocks_folder(data))
        # Some may be merged already.
        assert names <= set(manifest.blocks) | {r for b in blocks for r in b.meta["replaces"]} and manifest.key_seed == before.key_seed


# ---- killed at any moment --------------------------------------------------------------

class Load:
    """Uploads, each of which has a function and a value of its own."""

    def __init__(self, n, n_threads=4):
        self.n, self.n_threads = n, n_threads

    def key(self, life, i):
        return f"{life}-{i}"

    def post(self, server, life, acked):
        def one(i):
            key = self.key(life, i)
            # Most of today, some of days that are over.
            at = T0 + (i % 4 if i % 3 == 0 else 6) * DAY + i * 1000
            body = pprof({("main", f"life{life}", f"p{i}"): i + 1}, at)
            try:
                status, answer = server.ingest(body, service=f"s{life}", key=key)
            except (OSError, http.client.HTTPException, ValueError):
                return
            if status == 200:
                acked[i] = answer["status"]
        with concurrent.futures.ThreadPoolExecutor(self.n_threads) as pool:
            list(pool.map(one, range(self.n)))

    def stored(self, server, life):
        """{i: value} of what the server shows."""
        top = server.get("top", service=f"s{life}", from_=T0 - DAY, to=T0 + 30 * DAY, limit=10000)
        assert top["quality"] is not None
        return {int(f["name"][1:]): f["self"] for f in top["functions"] if f["self"]}

    def check(self, server, life, acked):
        stored = self.stored(server, life)
        missing = [i for i in acked if i not in stored]
        assert not missing, f"life {life}: {len(missing)} of {len(acked)} acknowledged are gone"
        wrong = {i: v for i, v in stored.items() if v != i + 1}
        assert not wrong, f"life {life}: not stored once: {wrong}"


FLUSH = ("--flush-size", "6K")


def one_life(load, data, life, rng):
    """Killed at a random moment; what was acknowledged until then."""
    acked = {}
    with Server(data, *FLUSH) as s:
        poster = threading.Thread(target=load.post, args=(s, life, acked))
        poster.start()
        wanted = rng.randrange(1, load.n)
        wait_for(lambda: len(acked) >= wanted or not poster.is_alive(), "uploads")
        s.kill()
        poster.join()
    return acked


@case
def nothing_acknowledged_is_lost_or_doubled_through_kill_9_while_blocks_are_written_and_merged():
    kills = int(os.environ.get("WICK_BLOCK_KILLS", 20 if SANITIZER == "none" else 6))
    load = Load(150)
    seed = int(os.environ.get("WICK_SEED", random.randrange(1 << 30)))
    rng = random.Random(seed)
    print(f"# WICK_SEED={seed}")
    slowest = 0
    with Folder() as data:
        totals = {}
        for life in range(kills):
            acked = one_life(load, data, life, rng)
            began = time.monotonic()
            with Server(data, *FLUSH) as s:
                slowest = max(slowest, time.monotonic() - began)
                load.check(s, life, acked)
                # Those of the lives before, too.
                now = {x["name"]: x["total"][TYPE] for x in s.get("services", from_=T0 - DAY, to=T0 + 30 * DAY)["services"]}
                assert {k: v for k, v in now.items() if k in totals} == totals
                again = {}
                load.post(s, life, again)
                assert len(again) == load.n and all(again[i] == "duplicate" for i in acked)
                assert load.stored(s, life) == {i: i + 1 for i in range(load.n)}
                totals = now | {f"s{life}": load.n * (load.n + 1) // 2}
                s.kill()
        with Server(data, *FLUSH) as s:
            now = {x["name"]: x["total"][TYPE] for x in s.get("services", from_=T0 - DAY, to=T0 + 30 * DAY)["services"]}
            assert now == totals and len(totals) == kills
            state = s.get("status")
            assert state["profiles"] == kills * load.n and state["damaged_blocks"] == 0, state
            assert s.metric("wick_store_flush_failures_total") + s.metric("wick_store_compaction_failures_total") == 0
            s.stop()
        assert slowest < (5 if SANITIZER == "none" else 30), f"{slowest:.1f} s until it answered"
        print(f"# {kills} kills, {state['blocks']} blocks, slowest start {slowest:.2f} s")
        try:
            blockreader.libraries()
        except blockreader.Missing as why:
            print(f"# not read by the other reader: {why}")
            return
        manifest, blocks = blockreader.read_folder(blocks_folder(data))
        check_files(data, manifest)
        assert blocks


if not os.access(SERVER, os.X_OK):
    sys.exit(f"{SERVER} is not there: build it first")
run()
