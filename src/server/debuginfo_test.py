#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""debuginfo_test.py [SANITIZER]: debug files in, and names for what was stored before they came.

Programs are compiled here; addr2line says what their addresses are."""

import gzip
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = os.environ.get("WICK_SOURCE_ROOT", os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from serverprocess import SERVER, Folder, Server, nested, number, wait_for  # noqa: E402
from tap import Skip, case, run  # noqa: E402

SANITIZER = sys.argv[1] if len(sys.argv) > 1 else "none"
NOW = int(time.time() * 1000)

SOURCE = """
#include <stdio.h>
static inline int square(int x) { return x * x + (x >> 3); }
static int cube(int x) { return square(x) * x; }
__attribute__((noinline)) static int work(int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		s += cube(i) ^ square(s);
	return s;
}
int main(int c, char **v)
{
	int s = 0;
	for (int i = 0; i < 1000; i++)
		s ^= work(c * i);
	return printf("%d\\n", s) < 0;
}
"""


# ---- programs --------------------------------------------------------------

class Program:
    """A program with debug information: its path, build id, and chains of addr2line by address."""

    def __init__(self, folder, name="program"):
        compiler = shutil.which("gcc") or shutil.which("clang")
        if not compiler or not shutil.which("addr2line") or not shutil.which("objcopy"):
            raise Skip("no C compiler or no binutils here")
        self.folder, self.path = folder, os.path.join(folder, name)
        with open(self.path + ".c", "w", encoding="utf-8") as file:
            file.write(SOURCE + f"const char name_of_this_build[] = \"{name}\";\n")
        subprocess.run([compiler, "-O2", "-g", "-Wl,--build-id", self.path + ".c", "-o", self.path], check=True)
        notes = subprocess.run(["readelf", "-n", self.path], capture_output=True, text=True, check=True).stdout
        self.build_id = re.search(r"Build ID: (\w+)", notes)[1]
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "-j", ".text", self.path], capture_output=True,
                              text=True, check=True).stdout
        addresses = re.findall(r"^\s+([0-9a-f]+):", code, re.M)
        self.chains = self.addr2line(addresses)
        self.inlined = next(a for a, c in self.chains.items() if [f for f, _, _ in c] == ["square", "cube", "work"])
        self.main = next(a for a, c in self.chains.items() if c[-1][0] == "main")

    def addr2line(self, addresses):
        text = subprocess.run(["addr2line", "-a", "-i", "-f", "-e", self.path, *addresses], capture_output=True, text=True,
                              check=True).stdout
        chains, lines = {}, text.splitlines()
        i = 0
        while i < len(lines):
            if lines[i].startswith("0x"):
                chain = chains.setdefault(int(lines[i], 16), [])
                i += 1
                continue
            file, line = re.sub(r" \(discriminator.*", "", lines[i + 1]).rsplit(":", 1)
            chain.append((lines[i], file, int(line) if line.isdigit() else 0))
            i += 2
        return chains

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()

    def derived(self, *command):
        """The bytes of the program after objcopy or strip."""
        out = self.path + ".derived"
        subprocess.run([*command, self.path, "-o", out] if command[0] == "strip" else [*command, self.path, out], check=True)
        with open(out, "rb") as file:
            return file.read()

    def debug_file(self):
        return self.derived("objcopy", "--only-keep-debug")


def pprof(program, stacks, named=(), mapping=(0, 0x10000000, 0)):
    """stacks: [((address, ...) root first, ns)]; named: {address: function} that the producer knew."""
    strings = ["", "cpu", "nanoseconds", program.path, program.build_id]

    def text(s):
        if s not in strings:
            strings.append(s)
        return strings.index(s)

    named = dict(named)
    addresses = sorted({a for stack, _ in stacks for a in stack})
    body = nested(1, number(1, 1) + number(2, 2))
    for stack, value in stacks:
        ids = b"".join(number(1, addresses.index(a) + 1) for a in reversed(stack))
        body += nested(2, ids + number(2, value))
    start, limit, offset = mapping
    body += nested(3, number(1, 1) + number(2, start) + number(3, limit) + number(4, offset) + number(5, 3) + number(6, 4))
    for i, address in enumerate(addresses, 1):
        line = nested(4, number(1, i)) if address in named else b""
        body += nested(4, number(1, i) + number(2, 1) + number(3, address) + line)
        if address in named:
            body += nested(5, number(1, i) + number(2, text(named[address])))
    body += number(9, NOW * 1000000) + number(10, 10000000000)
    return gzip.compress(body + b"".join(nested(6, s.encode()) for s in strings))


# ---- the server ------------------------------------------------------------

def put(server, build_id, body, method="PUT"):
    status, answer, _ = server.ask(method, f"/api/v1/debuginfo/{build_id}", body)
    return status, json.loads(answer)


def ingest(server, body, **params):
    status, answer = server.ingest(body, service="shop", **params)
    assert status == 200, answer


def everything():
    return {"from_": NOW - 3600_000, "to": NOW + 3600_000}


def tree_paths(server, **params):
    """{(names from the root): self}, of nodes with a value of their own."""
    answer = server.get("tree", **everything(), **params)
    names, path, paths = answer["functions"], [], {}
    tree = answer["tree"]
    for func, depth, self_ in zip(tree["func"], tree["depth"], tree["self"]):
        del path[depth:]
        path.append(names[func]["name"])
        if self_:
            paths[tuple(path[1:])] = paths.get(tuple(path[1:]), 0) + self_
    return paths, answer


def has_names(server):
    names = server.get("status")["names"]
    return names["pending"] == 0 and names["named"] > 0


# ---- files ------------------------------------------------------------------

@case
def a_file_is_stored_once_and_found_again():
    with Folder() as data, Folder() as folder:
        program = Program(folder)
        debug = program.debug_file()
        with Server(data) as s:
            status, answer, _ = s.ask("GET", f"/api/v1/debuginfo/{program.build_id}")
            assert status == 404 and json.loads(answer)["code"] == "not_found"
            status, answer = put(s, program.build_id, debug)
            assert status == 200 and answer["status"] == "stored" and answer["size"] == len(debug) and answer["dwarf"], answer
            for method in ("PUT", "POST"):
                status, answer = put(s, program.build_id, debug, method)
                assert status == 200 and answer["status"] == "present", answer
            assert s.metric("wick_debuginfo_stored_total") == 1
            s.kill()
        with Server(data) as s:
            assert s.get(f"debuginfo/{program.build_id}")["size"] == len(debug)
            listed = s.get("debuginfo")
            assert [f["build_id"] for f in listed["files"]] == [program.build_id] and listed["size"] == len(debug)
            assert s.metric("wick_debuginfo_bytes") == len(debug)
            s.stop()


@case
def what_is_no_debug_file_of_that_build_is_refused_with_a_reason():
    with Folder() as data, Folder() as folder:
        program = Program(folder)
        other = "ab" * 20
        with Server(data, "--debuginfo-file-limit", "1M") as s:
            for build_id, body, status, words in (
                (program.build_id, b"hello, this is no ELF file at all, whatever else it may be", 422, ["ELF"]),
                (program.build_id, program.debug_file()[:1000], 422, []),
                (program.build_id, b"", 422, []),
                (other, program.debug_file(), 422, [program.build_id]),
                (program.build_id, program.derived("strip"), 422, [".debug_info", ".symtab"]),
                (program.build_id, program.derived("objcopy", "--remove-section=.note.gnu.build-id"), 422, ["no build id"]),
                ("xyz", b"", 400, ["build id"]),
                (program.build_id.upper(), b"", 400, ["lower-case"]),
            ):
                got, answer = put(s, build_id, body)
                assert got == status and all(w in answer["detail"] for w in words), (status, got, answer)
            # The length alone is enough; chunks are found out on the way.
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
            c.putrequest("PUT", f"/api/v1/debuginfo/{program.build_id}")
            c.putheader("Content-Length", str(2 << 20))
            c.endheaders()
            answer = c.getresponse()
            assert answer.status == 413 and "--debuginfo-file-limit" in json.loads(answer.read())["detail"]
            c.close()
            got, answer = put(s, program.build_id, iter([bytes(1 << 20)] * 3))
            assert got == 413, answer
            status, answer, _ = s.ask("PUT", f"/api/v1/debuginfo/{program.build_id}?force=1", b"")
            assert status == 400 and json.loads(answer)["field"] == "force"
            assert s.get("debuginfo")["files"] == []
            assert os.listdir(os.path.join(data, "debuginfo")) == []
            s.stop()


@case
def uploads_at_a_time_are_bounded_and_those_that_break_off_leave_nothing():
    with Folder() as data, Folder() as folder, Server(data) as s:
        program = Program(folder)
        connections = []
        for i in range(4):
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
            c.putrequest("PUT", f"/api/v1/debuginfo/{i:040x}")
            c.putheader("Content-Length", "1000")
            c.endheaders(b"x" * 100)
            connections.append(c)
        wait_for(lambda: s.metric("wick_debuginfo_uploads") == 4, "four uploads")
        status, answer = put(s, program.build_id, program.debug_file())
        assert status == 503 and answer["code"] == "too_many_requests", answer
        for c in connections:
            c.close()
        wait_for(lambda: s.metric("wick_debuginfo_uploads") == 0, "no upload")
        assert os.listdir(os.path.join(data, "debuginfo")) == []
        assert put(s, program.build_id, program.debug_file())[0] == 200
        s.stop()


@case
def the_files_stay_below_their_limit():
    with Folder() as data, Folder() as folder:
        programs = [Program(folder, f"p{i}") for i in range(4)]
        size = max(len(p.debug_file()) for p in programs)
        with Server(data, "--debuginfo-limit", str(int(2.5 * size))) as s:
            for p in programs:
                assert put(s, p.build_id, p.debug_file())[1]["status"] == "stored"
            kept = {f["build_id"] for f in s.get("debuginfo")["files"]}
            assert kept == {p.build_id for p in programs[2:]}
            assert s.metric("wick_debuginfo_evicted_total") == 2
            s.stop()
        with Server(data, "--debuginfo-limit", "0") as s:
            assert s.get("debuginfo")["files"] == []
            status, answer = put(s, programs[0].build_id, programs[0].debug_file())
            assert status == 507 and "--debuginfo-limit" in answer["detail"], answer
            s.stop()


@case
def what_was_acknowledged_outlives_a_kill_and_what_was_not_leaves_nothing():
    with Folder() as data, Folder() as folder:
        program, other = Program(folder, "one"), Program(folder, "two")
        with Server(data) as s:
            assert put(s, program.build_id, program.debug_file())[0] == 200
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
            debug = other.debug_file()
            c.putrequest("PUT", f"/api/v1/debuginfo/{other.build_id}")
            c.putheader("Content-Length", str(len(debug)))
            c.endheaders(debug[:-1])
            wait_for(lambda: s.metric("wick_debuginfo_uploads") == 1, "an upload")
            s.kill()
            c.close()
        with Server(data) as s:
            assert [f["build_id"] for f in s.get("debuginfo")["files"]] == [program.build_id]
            assert os.listdir(os.path.join(data, "debuginfo")) == [program.build_id + ".debug"]
            s.stop()


# ---- the command line --------------------------------------------------------

def wick(*arguments, server=None):
    environment = dict(os.environ, WICK_SERVER=f"http://127.0.0.1:{server.port}") if server else None
    return subprocess.run([os.path.join(os.path.dirname(SERVER), "wick"), "debuginfo", *arguments], capture_output=True,
                          text=True, timeout=120, check=False, env=environment)


@case
def the_command_line_sends_what_the_server_lacks():
    with Folder() as data, Folder() as folder, Server(data) as s:
        one, two = Program(folder, "one"), Program(folder, "two")
        ingest(s, pprof(two, [((two.main, two.inlined), 30)]))
        debug = os.path.join(folder, "one.debug")
        with open(debug, "wb") as file:
            file.write(one.debug_file())
        bare = os.path.join(folder, "bare")
        subprocess.run(["strip", one.path, "-o", bare], check=True)
        os.symlink("/", os.path.join(folder, "everything"))
        answer = wick("list", server=s)
        assert answer.returncode == 0 and two.build_id in answer.stdout and two.path in answer.stdout, answer

        answer = wick("upload", debug, server=s)
        assert answer.returncode == 0 and answer.stdout.split() == ["stored", one.build_id, debug], answer
        answer = wick("upload", "--server", f"http://127.0.0.1:{s.port}", debug, one.path)
        assert answer.returncode == 0 and [l.split()[0] for l in answer.stdout.splitlines()] == ["present"] * 2, answer
        # Sources and the stripped one are passed over in a folder, and mistakes where they are named.
        answer = wick("upload", folder, server=s)
        assert answer.returncode == 0 and f"stored   {two.build_id}" in answer.stdout, answer
        assert "1 stored" in answer.stderr and "0 failed" in answer.stderr, answer
        answer = wick("upload", bare, one.path + ".c", two.path, server=s)
        assert answer.returncode == 3 and "stripped" in answer.stderr and "not an ELF" in answer.stderr, answer
        assert f"present  {two.build_id}" in answer.stdout

        wait_for(lambda: has_names(s), "names")
        assert tree_paths(s)[0] == {("main", "work", "cube", "square"): 30}
        answer = wick("list", "--json", server=s)
        assert {f["build_id"] for f in json.loads(answer.stdout)["files"]} == {one.build_id, two.build_id}
        s.stop()
        answer = wick("upload", one.path, two.path, server=s)
        assert answer.returncode == 1 and answer.stderr.count("refused") == 1, answer


@case
def symbols_are_sent_only_where_there_is_nothing_better():
    with Folder() as data, Folder() as folder, Server(data) as s:
        program = Program(folder)
        symbols = os.path.join(folder, "symbols")
        subprocess.run(["strip", "-g", program.path, "-o", symbols], check=True)
        for path, said in ((symbols, "stored"), (symbols, "present"), (program.path, "stored"), (symbols, "present")):
            answer = wick("upload", path, server=s)
            assert answer.returncode == 0 and answer.stdout.startswith(said), (path, answer)
        s.stop()


@case
def what_the_server_refuses_is_said_with_its_reason():
    with Folder() as data, Folder() as folder, Server(data, "--debuginfo-file-limit", "2000") as s:
        program = Program(folder)
        answer = wick("upload", program.path, server=s)
        assert answer.returncode == 4 and "--debuginfo-file-limit" in answer.stderr, answer
        s.stop()


# ---- debuginfod ----------------------------------------------------------------

class Debuginfod:
    """A real one that serves a folder, once it has found the build."""

    def __init__(self, folder, build_id):
        if not shutil.which("debuginfod"):
            raise Skip("no debuginfod here")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            ["debuginfod", "-p", str(self.port), "-d", os.path.join(folder, "debuginfod.sqlite"), "-t", "0", "-F", folder],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder})
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            wait_for(lambda: self.has(build_id), "debuginfod")
        except AssertionError:
            self.__exit__()
            raise Skip("debuginfod does not find the file") from None

    def has(self, build_id):
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            c.request("GET", f"/buildid/{build_id}/debuginfo")
            return c.getresponse().status == 200
        except OSError:
            return False
        finally:
            c.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def needs_libdebuginfod(data):
    """Skips where there is no wick-debuginfod."""
    command = [SERVER, "--listen", "127.0.0.1:0", "--data", data, "--debuginfod"]
    for urls in ("nonsense", "file:///etc", "http://127.0.0.1:1 ftp://x", " "):
        result = subprocess.run([*command, urls], capture_output=True, text=True, timeout=20, check=False)
        assert result.returncode == 2 and "http://" in result.stderr, result
    if not os.path.exists(os.path.join(os.path.dirname(SERVER), "wick-debuginfod")):
        result = subprocess.run([*command, "http://127.0.0.1:1"], capture_output=True, text=True, timeout=20, check=False)
        assert result.returncode == 1 and "without libdebuginfod" in result.stderr, result
        raise Skip("built without libdebuginfod")


@case
def a_debuginfod_server_is_asked_for_what_is_missing():
    with Folder() as data, Folder() as folder, Folder() as elsewhere:
        needs_libdebuginfod(data)
        known, unknown = Program(folder), Program(elsewhere, "unknown")
        with Debuginfod(folder, known.build_id) as debuginfod, Server(data, "--debuginfod", debuginfod.url) as s:
            for p in (known, unknown):
                ingest(s, pprof(p, [((p.main, p.inlined), 30)]))
            wait_for(lambda: ("main", "work", "cube", "square") in tree_paths(s)[0], "names")
            wait_for(lambda: s.metric("wick_debuginfod_missing_total") == 1, "an answer about the other")
            assert s.metric("wick_debuginfod_fetched_total") == 1
            assert [f["build_id"] for f in s.get("debuginfo")["files"]] == [known.build_id]
            # Nothing is kept beside the store, and what is not there is not asked for at once again.
            assert os.listdir(os.path.join(data, "debuginfo", "fetch")) == []
            ingest(s, pprof(unknown, [((unknown.main,), 30)]))
            assert s.metric("wick_debuginfod_missing_total") == 1
            s.stop()


@case
def a_debuginfod_server_that_is_away_costs_nothing_else():
    with Folder() as data, Folder() as folder:
        needs_libdebuginfod(data)
        program = Program(folder)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with Server(data, "--debuginfod", url) as s:
                ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
                accepted, _ = silent.accept()
                assert len(tree_paths(s)[0]) == 1
                start = time.monotonic()
                s.stop()
                assert time.monotonic() - start < 10
                accepted.close()
        # Nobody listens there any more.
        with Server(data, "--debuginfod", url) as s:
            wait_for(lambda: s.metric("wick_debuginfod_failed_total") == 1, "a failure")
            assert put(s, program.build_id, program.debug_file())[0] == 200
            wait_for(lambda: has_names(s), "names")
            s.stop()


@case
def nothing_is_fetched_onto_a_disk_that_is_nearly_full():
    with Folder() as data, Folder() as folder:
        needs_libdebuginfod(data)
        program = Program(folder)
        with Server(data) as s:
            ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
            s.stop()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with Server(data, "--debuginfod", url, "--disk-reserve", "1000000g") as s:
                wait_for(lambda: s.metric("wick_debuginfod_failed_total") == 1, "a failure")
                assert not select.select([silent], [], [], 0)[0], "it asked"
                assert any("disk" in line for line in s.lines), s.lines
                s.stop()
        command = [SERVER, "--listen", "127.0.0.1:0", "--data", data, "--debuginfod", url, "--debuginfo-limit", "0"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert result.returncode == 2 and "--debuginfo-limit" in result.stderr, result


@case
def nobody_is_asked_unless_that_is_wanted():
    with Folder() as data, Folder() as folder:
        program = Program(folder)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            silent.settimeout(3)
            os.environ["DEBUGINFOD_URLS"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
            try:
                with Server(data) as s:
                    ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
                    assert put(s, program.build_id, program.derived("strip", "-g"))[0] == 200
                    wait_for(lambda: has_names(s), "names")
                    try:
                        silent.accept()
                        assert False, "the environment alone made it ask"
                    except TimeoutError:
                        pass
                    s.stop()
            finally:
                del os.environ["DEBUGINFOD_URLS"]


# ---- names ------------------------------------------------------------------

@case
def old_data_gets_names_lines_and_inlined_functions():
    with Folder() as data, Folder() as folder:
        program = Program(folder)
        stacks = [((program.main, program.inlined), 30), ((program.main,), 12)]
        with Server(data) as s:
            ingest(s, pprof(program, stacks))
            paths, answer = tree_paths(s)
            bare = (f"program+{program.main:#x}", f"program+{program.inlined:#x}")
            assert paths == {bare: 30, bare[:1]: 12}, paths
            assert answer["quality"]["unnamed_frames"] == 2 and answer["quality"]["unnamed_share"] == 1
            missing = s.get("debuginfo")["missing"]
            assert missing == [{"build_id": program.build_id, "path": program.path, "frames": 2}], missing

            assert put(s, program.build_id, program.debug_file())[0] == 200
            wait_for(lambda: has_names(s), "names")
            paths, answer = tree_paths(s)
            assert paths == {("main", "work", "cube", "square"): 30, ("main",): 12}, paths
            assert answer["quality"]["unnamed_frames"] == 0 and answer["quality"]["unnamed_share"] == 0
            assert {f["file"] for f in answer["functions"]} == {"", program.path + ".c"}
            assert "line" not in answer["functions"][0]
            assert s.get("debuginfo")["missing"] == []

            # Lines are those of addr2line.
            _, answer = tree_paths(s, lines=1)
            found = {(f["name"], f["file"], f["line"]) for f in answer["functions"] if f["file"]}
            want = set(program.chains[program.inlined]) | set(program.chains[program.main])
            assert found == want, (found, want)
            top = s.get("top", **everything(), lines=1)["functions"]
            assert (top[0]["name"], top[0]["line"]) == program.chains[program.inlined][0][::2], top

            # Filters and series know them as if they had been stored.
            assert tree_paths(s, focus="^square$")[0] == {("main", "work", "cube", "square"): 30}
            assert tree_paths(s, hide="^(cube|work)$")[0] == {("main", "square"): 30, ("main",): 12}
            values = s.get("series", **everything(), step=3600_000, focus="^cube$")["values"]
            assert sum(v or 0 for v in values) == 30, values
            s.stop()
        # What is stored has not changed; names come back with the file.
        with Server(data) as s:
            wait_for(lambda: has_names(s), "names after a restart")
            assert ("main", "work", "cube", "square") in tree_paths(s)[0]
            # Addresses that come later are looked up, too.
            more = next(a for a, c in program.chains.items() if [f for f, _, _ in c] == ["square", "work"])
            ingest(s, pprof(program, [((program.main, more), 5)]))
            wait_for(lambda: tree_paths(s)[0].get(("main", "work", "square")) == 5, "the names of new frames")
            s.stop()


@case
def what_is_in_blocks_gets_names_without_being_written_anew():
    with Folder() as data, Folder() as folder:
        program = Program(folder)
        stacks = [((program.main, program.inlined), 30), ((program.main,), 12)]
        bare = (f"program+{program.main:#x}", f"program+{program.inlined:#x}")
        with Server(data, "--flush-size", "1") as s:
            ingest(s, pprof(program, stacks))
            wait_for(lambda: s.get("status")["blocks"] == 1, "a block")
            assert tree_paths(s)[0] == {bare: 30, bare[:1]: 12}
            s.kill()
        with Server(data) as s:
            assert tree_paths(s)[0] == {bare: 30, bare[:1]: 12}
            wait_for(lambda: s.get("debuginfo")["missing"] == [{"build_id": program.build_id, "path": program.path, "frames": 2}],
                     "the block being looked at")
            before = {f: os.stat(os.path.join(data, "blocks", f)).st_mtime_ns for f in os.listdir(os.path.join(data, "blocks"))}
            assert put(s, program.build_id, program.debug_file())[0] == 200
            wait_for(lambda: has_names(s), "names")
            assert tree_paths(s)[0] == {("main", "work", "cube", "square"): 30, ("main",): 12}
            # The same frames in memory and in a block are one.
            ingest(s, pprof(program, stacks))
            wait_for(lambda: tree_paths(s)[0] == {("main", "work", "cube", "square"): 60, ("main",): 24}, "both")
            assert tree_paths(s, focus="^square$")[0] == {("main", "work", "cube", "square"): 60}
            after = {f: os.stat(os.path.join(data, "blocks", f)).st_mtime_ns for f in os.listdir(os.path.join(data, "blocks"))}
            assert before == after
            s.stop()


@case
def a_name_that_was_sent_stays_and_gets_what_it_lacks():
    with Folder() as data, Folder() as folder, Server(data) as s:
        program = Program(folder)
        ingest(s, pprof(program, [((program.main, program.inlined), 30)],
                        {program.main: "main", program.inlined: "work.constprop.0"}))
        assert tree_paths(s)[0] == {("main", "work.constprop.0"): 30}
        assert put(s, program.build_id, program.read())[0] == 200
        wait_for(lambda: has_names(s), "lines")
        paths, answer = tree_paths(s)
        assert paths == {("main", "work.constprop.0", "cube", "square"): 30}, paths
        assert all(f["file"] for f in answer["functions"] if f["name"] != "all")
        s.stop()


@case
def symbols_are_better_than_nothing_and_give_way_to_debug_information():
    with Folder() as data, Folder() as folder, Server(data) as s:
        program = Program(folder)
        ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
        status, answer = put(s, program.build_id, program.derived("strip", "-g"))
        assert status == 200 and answer["status"] == "stored" and not answer["dwarf"], answer
        wait_for(lambda: tree_paths(s)[0] == {("main", "work"): 30}, "names of symbols")
        status, answer = put(s, program.build_id, program.debug_file())
        assert answer["status"] == "stored" and answer["dwarf"], answer
        wait_for(lambda: tree_paths(s)[0] == {("main", "work", "cube", "square"): 30}, "names of debug information")
        s.stop()


@case
def addresses_of_a_process_are_taken_back_to_those_of_the_file():
    """As other producers send them: where the process had the binary mapped."""
    with Folder() as data, Folder() as folder, Server(data) as s:
        program = Program(folder)
        headers = subprocess.run(["readelf", "-lW", program.path], capture_output=True, text=True, check=True).stdout
        load = re.search(r"LOAD\s+(0x\w+) (0x\w+) 0x\w+ 0x\w+ (0x\w+) R E", headers)
        offset, vaddr, size = (int(x, 16) for x in load.groups())
        base, first = 0x7f0000000000, vaddr & ~4095
        end = (vaddr + size + 4095) & ~4095
        moved = [base + a for a in (program.main, program.inlined)]
        ingest(s, pprof(program, [(tuple(moved), 30)], mapping=(base + first, base + end, offset & ~4095)))
        # An address that lies outside stays what it is.
        ingest(s, pprof(program, [((0x1234,), 1)], mapping=(base + first, base + end, offset & ~4095)))
        assert put(s, program.build_id, program.debug_file())[0] == 200
        wait_for(lambda: has_names(s), "names")
        assert tree_paths(s)[0] == {("main", "work", "cube", "square"): 30, ("program+0x1234",): 1}
        s.stop()


@case
def a_damaged_file_costs_its_names_only():
    with Folder() as data, Folder() as folder, Server(data) as s:
        good, bad = Program(folder, "good"), Program(folder, "bad")
        sections = subprocess.run(["readelf", "-SW", bad.path], capture_output=True, text=True, check=True).stdout
        damaged = bytearray(bad.read())
        for offset, size in re.findall(r"\.debug_(?:info|abbrev|line)\s+PROGBITS\s+\w+\s+(\w+)\s+(\w+)", sections):
            start, length = int(offset, 16), int(size, 16)
            damaged[start:start + length] = bytes((i * 37 + 11) & 255 for i in range(length))
        for program in (good, bad):
            ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
        assert put(s, bad.build_id, bytes(damaged))[0] == 200
        assert put(s, good.build_id, good.debug_file())[0] == 200
        wait_for(lambda: s.get("status")["names"]["pending"] == 0 and
                 ("main", "work", "cube", "square") in tree_paths(s)[0], "the good one's names")
        # Its symbols were good.
        assert ("main", "work") in tree_paths(s)[0]
        assert s.process.poll() is None
        s.stop()


@case
def a_reader_that_never_answers_holds_nothing_up():
    if SANITIZER != "none":
        raise Skip("a copy of the server does not find the sanitizers' libraries everywhere")
    with Folder() as data, Folder() as folder:
        program = Program(folder)
        copy = os.path.join(folder, "wick-server")
        shutil.copy(SERVER, copy)
        with open(os.path.join(folder, "wick-dwarf"), "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexec sleep 600\n")
        os.chmod(os.path.join(folder, "wick-dwarf"), 0o755)
        with Server(data, program=copy) as s:
            ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
            assert put(s, program.build_id, program.debug_file())[0] == 200
            wait_for(lambda: s.get("status")["names"]["pending"] == 2, "two frames that wait")
            assert len(tree_paths(s)[0]) == 1
            ingest(s, pprof(program, [((program.main, program.inlined), 30)]))
            start = time.monotonic()
            s.process.send_signal(signal.SIGTERM)
            assert s.process.wait(60) == 0
            assert time.monotonic() - start < 10


@case
def many_threads_ask_while_names_come():
    with Folder() as data, Folder() as folder, Server(data) as s:
        programs = [Program(folder, f"p{i}") for i in range(3)]
        for p in programs:
            stacks = [((p.main, a), 1) for a, c in p.chains.items() if c[0][2] and a != p.main]
            ingest(s, pprof(p, stacks))
        total = sum(tree_paths(s)[0].values())
        failures, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    paths, _ = tree_paths(s, lines=1)
                    assert sum(paths.values()) == total, paths
                    s.get("top", **everything(), focus="square")
                except Exception as e:  # pylint: disable=broad-except
                    failures.append(e)
                    return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for t in threads:
            t.start()
        for p in programs:
            assert put(s, p.build_id, p.debug_file())[0] == 200
        wait_for(lambda: s.get("debuginfo")["missing"] == [] and has_names(s), "names")
        stop.set()
        for t in threads:
            t.join()
        assert not failures, failures
        s.stop()


run()
