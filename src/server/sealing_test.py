#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sealing_test.py: wick-server with keys, as a process. Needs the standard library, and for the other reader libzstd, libxxhash and
libgnutls."""

import os
import signal
import subprocess
import sys
import time

ROOT = os.environ.get("WICK_SOURCE_ROOT", os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import blockreader  # noqa: E402
from serverprocess import SERVER, Folder, Server, one_pprof, wait_for  # noqa: E402
from tap import Skip, case, run  # noqa: E402

NOW = int(time.time() * 1000)
SERVICE, FUNCTION = "checkout-service", "handle_secret_payment"
KEY_A, KEY_B, NOT_A = ("2026-a " + "01" * 32, "2026-b " + "02" * 32, "2026-a " + "03" * 32)


def key_file(folder, *keys):
    path = os.path.join(folder, "keys")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(fd, 0o600)
    os.write(fd, "\n".join(keys).encode())
    os.close(fd)
    return path


def ingest(server, count, first=0):
    for i in range(first, first + count):
        body = one_pprof(f"{FUNCTION}_{i}", 1, NOW - 60000)
        assert server.ingest(body, service=SERVICE, key=f"secret-key-{i}")[0] == 200


def total(server):
    return server.get("top", service=SERVICE, from_=NOW - 3600000, to=NOW + 3600000)["total"]


def blocks(data):
    return [f for f in os.listdir(os.path.join(data, "blocks")) if f.endswith(".blk")]


def readable(data):
    """Files under the folder that say what was profiled."""
    found = []
    for folder, _, names in os.walk(data):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as f:
                    content = f.read()
            except FileNotFoundError:
                continue  # merged meanwhile
            if any(word.encode() in content for word in (SERVICE, FUNCTION, "secret-key")):
                found.append(path)
    return found


def refused(data, *options):
    """What the server says that does not start."""
    done = subprocess.run([SERVER, "--listen", "127.0.0.1:0", "--data", data, "--disk-reserve", "0", *options],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 5, (done.returncode, done.stderr)
    return done.stderr


@case
def nothing_on_disk_tells_what_runs_here():
    with Folder() as home:
        data, keys = os.path.join(home, "data"), key_file(home, KEY_A)
        with Server(data, "--encryption-keys", keys) as s:
            ingest(s, 20)
            assert readable(data) == []
            s.kill()
        with Server(data, "--encryption-keys", keys, "--flush-size", "1") as s:
            assert total(s) == 20
            ingest(s, 20, 20)
            wait_for(lambda: blocks(data), "a block")
            assert total(s) == 40
            assert readable(data) == []
            s.stop()
        with Server(data, "--encryption-keys", keys) as s:
            assert total(s) == 40
            ingest(s, 20, 20)  # a repeat
            assert total(s) == 40
            assert readable(data) == []


@case
def keys_in_the_environment_are_wiped():
    with Folder() as data:
        os.environ["WICK_ENCRYPTION_KEYS"] = KEY_A
        try:
            with Server(data) as s:
                ingest(s, 3)
                with open(f"/proc/{s.process.pid}/environ", "rb") as f:
                    assert b"01" * 32 not in f.read()
                assert any("key=2026-a" in line for line in s.lines)
                assert readable(data) == []
                s.stop()
            with Folder() as home:
                done = subprocess.run([SERVER, "--data", data, "--encryption-keys", key_file(home, KEY_A)],
                                      capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 2 and "give one of them" in done.stderr, done
            assert "0101" not in done.stderr
        finally:
            del os.environ["WICK_ENCRYPTION_KEYS"]
        # The log is sealed: what is acknowledged must not be cut off as a torn write.
        for _ in range(2):
            said = refused(data)
            assert ".wal" in said and "the key 2026-a" in said and "--encryption-keys" in said, said


@case
def a_start_without_the_right_key_says_which_one():
    with Folder() as home:
        data, keys = os.path.join(home, "data"), key_file(home, KEY_A)
        with Server(data, "--encryption-keys", keys, "--flush-size", "1") as s:
            ingest(s, 5)
            wait_for(lambda: blocks(data), "a block")
            s.stop()
        said = refused(data)
        assert ".blk" in said and "the key 2026-a" in said and "--encryption-keys" in said, said
        said = refused(data, "--encryption-keys", key_file(home, KEY_B))
        assert ".blk" in said and "no key with the id 2026-a" in said, said
        said = refused(data, "--encryption-keys", key_file(home, NOT_A))
        assert ".blk" in said and "2026-a of --encryption-keys does not open" in said, said
        assert "0303" not in said
        os.chmod(keys, 0o644)
        assert "chmod 600" in refused(data, "--encryption-keys", keys)
        with Server(data, "--encryption-keys", key_file(home, KEY_B, KEY_A)) as s:
            assert total(s) == 5
            ingest(s, 5, 5)
            assert total(s) == 10


def keys_of_blocks(data):
    """The ids of keys that the headers of blocks name."""
    found = set()
    for name in blocks(data):
        try:
            with open(os.path.join(data, "blocks", name), "rb") as f:
                found.add(f.read(64)[32:].rstrip(b"\0").decode())
        except FileNotFoundError:
            pass  # merged meanwhile
    return found


@case
def keys_are_read_again_without_a_restart():
    with Folder() as home:
        data, keys = os.path.join(home, "data"), key_file(home, KEY_A)

        def again(server, *lines):
            key_file(home, *lines)
            before = len(server.lines)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: any("key" in line for line in server.lines[before:]), "the keys")
            return "".join(server.lines[before:])
        with Server(data, "--encryption-keys", keys, "--flush-size", "1") as s:
            ingest(s, 5)
            wait_for(lambda: keys_of_blocks(data) == {"2026-a"}, "a block")
            for mistake in (NOT_A, "2026-b", ""):
                said = again(s, mistake)
                assert "stay as they were" in said and "0303" not in said, said
            assert "key=2026-b" in again(s, KEY_B, KEY_A)
            ingest(s, 5, 5)
            wait_for(lambda: "2026-b" in keys_of_blocks(data), "a block with the new key")
            assert total(s) == 10
            assert readable(data) == []
            s.kill()
        with Server(data, "--encryption-keys", keys) as s:
            assert total(s) == 10
            s.stop()


@case
def another_reader_opens_what_was_sealed():
    try:
        blockreader.libraries()
        blockreader.gnutls()
    except blockreader.Missing as why:
        raise Skip(str(why)) from why
    with Folder() as home:
        data = os.path.join(home, "data")
        folder = os.path.join(data, "blocks")
        for first, keys in ((0, (KEY_A,)), (10, (KEY_B, KEY_A))):
            with Server(data, "--encryption-keys", key_file(home, *keys), "--flush-size", "1") as s:
                ingest(s, 10, first)
                # No record is so short.
                wait_for(lambda: s.metric("wick_store_log_bytes") < 100, "all of it in blocks")
                s.stop()
        keys = blockreader.read_keys(os.path.join(home, "keys"))
        manifest, found = blockreader.read_folder(folder, keys)
        assert {b.key_id for b in found} <= set(keys) and sum(b.meta["profiles"] for b in found) == 20
        functions = {stack[-1] for _, _, stack in blockreader.sums(found)}
        assert functions == {f"{FUNCTION}_{i}" for i in range(20)}
        assert {(k.low, k.high) for b in found for k in b.keys} == {
            blockreader.hash_key(f"secret-key-{i}".encode(), manifest.key_seed) for i in range(20)}
        # It would say so if a piece were another one, its hash right or not.
        try:
            blockreader.Block(found[0].path, {found[0].key_id: bytes(32)})
        except blockreader.Damaged as why:
            assert "does not open" in str(why)
        else:
            raise AssertionError("another key opened it")


run()
