#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""store.py BUILD: wick store, backup and restore on the folder of a real server."""

import json
import os
import re
import subprocess
import sys
import threading
import time

ROOT = os.environ.get("WICK_SOURCE_ROOT", os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
BUILD = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WICK_BUILD_ROOT", "build")
os.environ["WICK_BUILD_ROOT"] = BUILD
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.path.insert(0, os.path.join(ROOT, "src/server"))
from serverprocess import Folder, Server, one_pprof, wait_for  # noqa: E402
from tap import case, run  # noqa: E402

WICK = os.path.join(BUILD, "wick")
NOW = int(time.time() * 1000)
DAY = 86400000
KEY_A, KEY_B = ("2026-a " + "01" * 32, "2026-b " + "02" * 32)


def wick(*arguments, status=0):
    """(stdout, stderr)"""
    done = subprocess.run([WICK, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    assert "ERROR: " not in done.stderr, done.stderr  # a sanitizer's
    return done.stdout, done.stderr


def stat(data, *arguments):
    return json.loads(wick("store", "stat", "--json", "--data", data, *arguments)[0])


def key_file(folder, *keys):
    path = os.path.join(folder, "keys")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, "\n".join(keys).encode())
    os.close(fd)
    return path


def ingest(server, count, first=0, at=NOW - 60000, service="api"):
    for i in range(first, first + count):
        assert server.ingest(one_pprof(f"f{i}", 1, at), service=service, key=f"key-{i}")[0] == 200


def total(server, **params):
    return server.get("top", **{"from_": NOW - 90 * DAY, "to": NOW + DAY, **params})["total"]


def blocks(data):
    return sorted(f for f in os.listdir(os.path.join(data, "blocks")) if f.endswith(".blk"))


# ---- stat --------------------------------------------------------------------


@case
def stat_counts_what_a_running_server_has():
    with Folder() as data, Server(data) as s:
        ingest(s, 2)
        said = stat(data)
        assert (said["blocks"], said["segments"]) == (0, 1) and said["log_bytes"] > 32, said
    with Folder() as data, Server(data, "--flush-size", "1") as s:
        ingest(s, 10)
        ingest(s, 5, 10, NOW - 3 * DAY)
        wait_for(lambda: stat(data)["profiles"] == 15, "all profiles in blocks")
        said = stat(data)
        days = {row["starts_from_ms"] // DAY for row in said["rows"]}
        assert days == {(NOW - 60000) // DAY, (NOW - 3 * DAY) // DAY}, said
        assert sum(row["profiles"] for row in said["rows"]) == 15
        assert said["oldest_ms"] == NOW - 3 * DAY and said["newest_ms"] == NOW - 50000
        assert [k["key"] for k in said["keys"]] == [""]
        text, _ = wick("store", "stat", "--data", data)
        assert re.search(r"raw\+5m\+1h\+1d", text) and "profiles 15" in text, text


@case
def stat_says_when_an_old_key_may_go():
    with Folder() as home:
        data, keys = os.path.join(home, "data"), key_file(home, KEY_A)
        with Server(data, "--encryption-keys", keys, "--flush-size", "1") as s:
            ingest(s, 3, 0, NOW - 3 * DAY)
            wait_for(lambda: blocks(data), "a block")
            s.stop()
        # Without keys, the keys in use are told all the same.
        assert {k["key"] for k in stat(data)["keys"]} == {"2026-a"}
        assert all(row["unread"] for row in stat(data)["rows"])
        keys = key_file(home, KEY_B, KEY_A)
        said = stat(data, "--encryption-keys", keys)
        assert [k["key"] for k in said["keys"] if k["blocks"]] == ["2026-a"] and said["profiles"] >= 1
        with Server(data, "--encryption-keys", keys, "--flush-size", "1") as s:
            ingest(s, 1, 3)
            wait_for(lambda: [k for k in stat(data, "--encryption-keys", keys)["keys"] if k["key"] == "2026-b"],
                     "the new key")
            s.stop()
        said = stat(data, "--encryption-keys", keys)
        assert {k["key"]: k["seals"] for k in said["keys"]}["2026-b"]


# ---- check -------------------------------------------------------------------


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 16]))


def check_finds_every_flipped_byte(keys):
    with Folder() as home:
        data = os.path.join(home, "data")
        options = ("--encryption-keys", key_file(home, KEY_A)) if keys else ()
        with Server(data, "--flush-size", "1", *options) as s:
            ingest(s, 5)
            wait_for(lambda: blocks(data) and stat(data, *options)["profiles"] == 5, "all in blocks")
            s.stop()
        with Server(data, *options) as s:
            ingest(s, 3, 5)
            s.stop()
        said, _ = wick("store", "check", "--data", data, *options)
        assert "records 3 damaged 0" in said, said
        paths = [os.path.join(data, "blocks", blocks(data)[0]),
                 *(os.path.join(data, "wal", f) for f in os.listdir(os.path.join(data, "wal")))]
        for path in paths:
            size = os.path.getsize(path)
            for at in range(0, size, max(1, size // 60)):
                with open(path, "rb") as f:
                    f.seek(at)
                    is_padding = f.read(1) == b"\0"
                flip(path, at)
                # Zeros may be padding, and the last segment's end a torn write; nothing else may.
                done = subprocess.run([WICK, "store", "check", "--data", data, *options], capture_output=True, text=True,
                                      timeout=60, check=False)
                name = os.path.basename(path)
                told = done.returncode in (1, 3, 5) and name in done.stdout + done.stderr
                assert told or is_padding or "behind the last record" in done.stdout, (path, at, done)
                flip(path, at)
        assert "damaged 0" in wick("store", "check", "--data", data, *options)[0]


@case
def check_finds_damage_by_file_and_offset():
    check_finds_every_flipped_byte(keys=False)


@case
def check_finds_damage_in_sealed_files():
    check_finds_every_flipped_byte(keys=True)


@case
def check_tells_lost_blocks_from_merged_ones():
    with Folder() as data:
        with Server(data, "--flush-size", "1") as s:
            for i in range(30):
                ingest(s, 1, i)
                if i % 5 == 0:
                    assert "damaged 0" in wick("store", "check", "--data", data)[0]
            s.stop()
        gone = blocks(data)[0]
        os.rename(os.path.join(data, "blocks", gone), os.path.join(data, "gone"))
        said, _ = wick("store", "check", "--data", data, status=1)
        assert gone in said and "not there" in said and "damaged 1" in said, said
        told = json.loads(wick("store", "check", "--json", "--data", data, status=1)[0])
        assert told["damaged"] == 1 and told["blocks"] == len(blocks(data)), told
        assert [(p["file"], p["offset"]) for p in told["places"]] == [("blocks/" + gone, 0)] and "not there" in told["places"][0]["what"]
        os.rename(os.path.join(data, "gone"), os.path.join(data, "blocks", gone))
        # Whatever the damage, it says what a start would do, and looks at the blocks all the same.
        flip(os.path.join(data, "blocks", "manifest"), 20)
        told = json.loads(wick("store", "check", "--json", "--data", data, status=1)[0])
        assert told["damaged"] == 1 and told["blocks"] == len(blocks(data)), told
        assert told["places"][0]["file"] == "blocks/manifest" and "with the idempotency keys" in told["places"][0]["what"], told


# ---- backup and restore --------------------------------------------------------


class Load:
    """Ingests profile after profile, each with a value of its own bit, until the server is gone."""

    def __init__(self, server):
        self.server, self.acked, self.stop = server, [], False
        self.thread = threading.Thread(target=self.ingest, daemon=True)
        self.thread.start()

    def ingest(self):
        i = 0
        while not self.stop:
            try:
                status, _ = self.server.ingest(one_pprof(f"f{i}", 1, NOW - (i % 3) * DAY - 60000), service="api", key=f"key-{i}")
            except OSError:
                return
            assert status == 200
            self.acked.append(i)
            i += 1


def names(server):
    """{function: value} of everything."""
    rows = server.get("top", from_=NOW - 90 * DAY, to=NOW + DAY, limit=10000)["functions"]
    return {row["name"]: row["self"] for row in rows}


def backup_under_load(*backup_options, keys=False):
    with Folder() as home:
        data, options = os.path.join(home, "data"), ()
        if keys:
            options = ("--encryption-keys", key_file(home, KEY_A))
        copies = []
        with Server(data, "--flush-size", "1", *options) as s:
            load = Load(s)
            for k in range(4):
                wait_for(lambda k=k: len(load.acked) > 40 * (k + 1), "load")
                before = len(load.acked)
                copy = os.path.join(home, f"copy-{k}")
                wick("backup", "--data", data, *backup_options, copy)
                copies.append((copy, before))
            s.kill()
            load.thread.join()
        assert not [f for f in os.listdir(home) if ".tmp-" in f]
        for copy, before in copies:
            restored = copy + "-restored"
            wick("restore", copy, "--data", restored)
            assert "damaged 0" in wick("store", "check", "--data", restored, *options)[0]
            with Server(restored, *options) as s:
                found = names(s)
                assert all(value == 1 for value in found.values()), found
                missing = [i for i in range(before) if f"f{i}" not in found]
                assert not missing, (before, missing)
                # It is a store like any other, and knows what was sent to it.
                ingest(s, 1, 0, NOW - 60000)
                ingest(s, 1, 100000)
                assert total(s) == len(found) + 1
                s.stop()


@case
def a_backup_under_load_has_what_was_acknowledged_exactly_once():
    backup_under_load()


@case
def so_has_one_of_links_and_one_that_is_sealed():
    backup_under_load("--link", keys=True)


@case
def nothing_is_overwritten():
    with Folder() as home:
        data, copy, empty = (os.path.join(home, name) for name in ("data", "copy", "empty"))
        with Server(data) as s:
            ingest(s, 2)
            wick("backup", "--data", data, copy)
            assert "not empty" in wick("backup", "--data", data, copy, status=1)[1]
            s.stop()
        assert "not empty" in wick("restore", copy, "--data", data, status=1)[1]
        os.mkdir(empty)
        wick("restore", copy, "--data", empty)
        with Server(empty) as s:
            assert total(s) == 2
            s.stop()
        assert "--data" in wick("restore", copy, status=2)[1]
        os.mkdir(os.path.join(home, "other"))
        assert "holds no profiles" in wick("restore", os.path.join(home, "other"), "--data", home + "/x", status=1)[1]
        assert sorted(os.listdir(home)) == ["copy", "data", "empty", "other"]


# ---- export and import -----------------------------------------------------------


@case
def what_was_exported_can_be_imported():
    with Folder() as home:
        data, out, other, one = (os.path.join(home, name) for name in ("data", "out", "other", "all.pb.gz"))
        with Server(data, "--flush-size", "1") as s:
            ingest(s, 6)
            ingest(s, 4, 6, NOW - 3 * DAY, service="we/ird")
            wait_for(lambda: stat(data)["profiles"] == 10, "all in blocks")
            assert "pid" in wick("store", "export", "--data", data, out, status=1)[1]
            s.stop()
        with Server(data) as s:  # two more that only the log has
            ingest(s, 2, 10)
            s.stop()
        assert "profiles 12" in wick("store", "export", "--data", data, out)[0]
        files = sorted(os.path.join(out, f) for f in os.listdir(out))
        assert len(files) == 12 and sum("we_ird" in f for f in files) == 4, files
        assert "--force" in wick("store", "export", "--data", data, out, status=1)[1]
        # A part of it.
        said, _ = wick("store", "export", "--data", data, "--query", 'cpu{service="api"}', out + "-api")
        assert "profiles 8" in said
        day = time.strftime("%Y-%m-%d", time.gmtime((NOW - 2 * DAY) / 1000))
        assert "profiles 4" in wick("store", "export", "--data", data, "--to", day, out + "-old")[0]
        assert "nothing" in wick("store", "export", "--data", data, "--to", "1000", out + "-none", status=1)[1]
        assert "12" in wick("store", "export", "--data", data, "--merge", one)[0]
        text, _ = wick("report", one)
        assert all(f"f{i}" in text for i in range(12)), text
        # And back: the files say whose they are.
        assert "stored 12 present 0" in wick("store", "import", "--data", other, *files)[0]
        assert "stored 0 present 12" in wick("store", "import", "--data", other, *files)[0]
        assert "--service" in wick("store", "import", "--data", other, one, status=2)[1]
        with Server(other) as s:
            assert total(s) == 12
            assert total(s, service="we/ird") == 4
            assert {f"f{i}" for i in range(12)} == set(names(s))
            assert "stop it" in wick("store", "import", "--data", other, files[0], status=1)[1]
            s.stop()


@case
def a_folder_without_a_store_is_named():
    with Folder() as data:
        _, said = wick("store", "stat", "--data", data, status=1)
        assert data in said and "--data" in said
        wick("store", "stat", "--data", data + "/none", status=1)
    assert "wants" in wick("store", status=2)[1]
    assert "--nonsense" in wick("store", "stat", "--nonsense", status=2)[1]


run()
