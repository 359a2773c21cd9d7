#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""dwarf_test.py [SANITIZER]: wick-dwarf beside llvm-symbolizer and addr2line, and shut in.

Fixtures are made here by the compilers that are there. The reader of the pipe
is written from src/dwarf/answers.h."""

import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.environ.get("WICK_SOURCE_ROOT", os.path.join(os.path.dirname(os.path.realpath(__file__)), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests"))
from tap import Skip, case, run  # noqa: E402

PROGRAM = os.path.join(os.environ.get("WICK_BUILD_ROOT", "build"), "wick-dwarf")
SANITIZER = sys.argv[1] if len(sys.argv) > 1 else "none"

C = r"""
#include <stdio.h>
#include <stdlib.h>
static inline int square(int x) { return x * x + (x >> 3); }
static int cube(int x) { return square(x) * x; }
__attribute__((noinline)) static int work(int n)
{
	int s = 0;
	for (int i = 0; i < n; i++)
		s += cube(i) ^ square(s);
	if (s == 42)
		abort();
	return s;
}
int main(int c, char **v)
{
	int s = 0;
	for (int i = 0; i < 1000; i++)
		s ^= work(c * i);
	return printf("%d\n", s) < 0;
}
"""

CXX = r"""
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>
namespace shop {
template <typename T> static inline __attribute__((always_inline)) T twice(T x) { volatile T y = x; return y + x; }
struct item { int v; int get(int k) const { return twice(v) + k; } };
static int sum(const std::vector<item> &a) { int r = 0; for (auto &s : a) r += s.get(r); return r; }
}
int main(int argc, char **argv)
{
	std::vector<shop::item> a;
	std::map<std::string, int> m;
	for (int i = 0; i < argc * 1000; i++) {
		a.push_back({i});
		m[std::to_string(i % 7)] += i;
	}
	std::sort(a.begin(), a.end(), [](const shop::item &x, const shop::item &y) { return x.get(1) > y.get(2); });
	struct local { static __attribute__((noinline)) int f(int k) { return shop::twice(k) * 3; } };
	return printf("%d %zu %d\n", shop::sum(a), m.size(), local::f(argc)) < 0;
}
"""

RUST = r"""
use std::collections::HashMap;
#[inline(always)]
fn mix(a: u64) -> u64 { a.wrapping_mul(0x9e3779b97f4a7c15) ^ (a >> 7) }
struct Sums { v: Vec<u64> }
impl Sums {
    #[inline(never)]
    fn add(&mut self, n: u64) { for i in 0..n { self.v.push(mix(i)); } }
    fn total(&self) -> u64 { self.v.iter().map(|x| mix(*x)).fold(0, |a, b| a.wrapping_add(b)) }
}
fn main() {
    let mut a = Sums { v: vec![] };
    a.add(std::env::args().count() as u64 * 1000);
    let mut m: HashMap<u64, u64> = HashMap::new();
    for x in &a.v { *m.entry(x % 7).or_insert(0) += 1; }
    println!("{} {}", a.total(), m.len());
}
"""

folder = tempfile.TemporaryDirectory(prefix="wick-dwarf-")


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Skip(f"no {tool} here")


def build(name, compiler, source, suffix, *options):
    """The program's path, compiled in the scratch folder."""
    need(compiler)
    text = os.path.join(folder.name, name + suffix)
    out = os.path.join(folder.name, name)
    if not os.path.exists(out):
        with open(text, "w", encoding="utf-8") as file:
            file.write(source)
        subprocess.run([compiler, *options, text, "-o", out], check=True, cwd=folder.name, capture_output=True)
    return out


# ---- the pipe --------------------------------------------------------------

class Answers:
    """frames[index] = [(name, mangled, file, line)], innermost first; symbols[index] = mangled name."""

    def __init__(self, data):
        assert data[:4] == b"wdw1", data[:40]
        self.frames, self.symbols, self.end, self.problem = {}, {}, None, None
        strings, at = [""], 4
        while at + 4 <= len(data):
            kind, n, size = struct.unpack_from("<BBH", data, at)
            total = {1: 4 + size, 2: 16 + 16 * n, 3: 8, 4: 4 + size}[kind]
            if at + total > len(data):
                break
            assert self.end is None
            if kind == 1:
                strings.append(data[at + 4:at + total].decode(errors="replace"))
            elif kind == 4:
                self.problem = data[at + 4:at + total].decode(errors="replace")
            elif kind == 3:
                self.end, = struct.unpack_from("<I", data, at + 4)
            else:
                index, symbol, mangled = struct.unpack_from("<III", data, at + 4)
                assert index not in self.frames
                self.symbols[index] = strings[mangled or symbol]
                rows = [struct.unpack_from("<IIII", data, at + 16 + 16 * i) for i in range(n)]
                self.frames[index] = [(strings[a], strings[b], strings[c], line) for a, b, c, line in rows]
            at += total


def look_up(path, addrs, memory=512, cpu=60, may_open=False):
    """(exit status, Answers) for rising addresses."""
    request = os.memfd_create("addresses")
    os.write(request, b"".join(struct.pack("<Q", a) for a in addrs))
    file = os.open(path, os.O_RDONLY)

    def pass_file():
        os.dup2(file, 3)
        os.set_inheritable(3, True)

    try:
        done = subprocess.run([PROGRAM, str(memory), str(cpu), *(["open"] if may_open else [])], stdin=request,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=pass_file, close_fds=False,
                              timeout=120, check=False)
    finally:
        os.close(request)
        os.close(file)
    return done.returncode, Answers(done.stdout)


def look_up_raw(path, addrs, cpu="5"):
    """The exit status alone."""
    with tempfile.TemporaryFile() as request, open(path, "rb") as file:
        request.write(b"".join(struct.pack("<Q", a) for a in addrs))
        request.flush()
        return subprocess.run([PROGRAM, "64", cpu], stdin=request, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              preexec_fn=lambda: (os.dup2(file.fileno(), 3), os.set_inheritable(3, True)), close_fds=False,
                              check=False).returncode


def instructions(path):
    need("objdump")
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "-j", ".text", path], capture_output=True, text=True,
                          check=True).stdout
    return sorted({int(a, 16) for a in re.findall(r"^\s+([0-9a-f]+):", text, re.M)})


# ---- the others' answers ---------------------------------------------------

def symbolize(command, addrs):
    """{address: [(mangled name, file, line)]} as addr2line prints it, innermost first."""
    need(command[0])
    text = subprocess.run(command, input="\n".join(hex(a) for a in addrs), capture_output=True, text=True, check=True).stdout
    chains, chain, lines = {}, None, [line for line in text.splitlines() if line]
    i = 0
    while i < len(lines):
        if re.fullmatch(r"0x[0-9a-f]+", lines[i]):
            chain = chains.setdefault(int(lines[i], 16), [])
            i += 1
            continue
        file, line = re.sub(r" \(discriminator \d+\)", "", lines[i + 1]).rsplit(":", 1)
        chain.append((lines[i], os.path.normpath(file), int(line) if line.isdigit() else 0))
        i += 2
    return chains


def by_llvm(path, addrs):
    return symbolize(["llvm-symbolizer", "--inlines", "--no-demangle", "--functions=linkage", "--output-style=GNU",
                      "--addresses", "-e", path], addrs)


def by_binutils(path, addrs):
    return symbolize(["addr2line", "-a", "-i", "-f", "-e", path], addrs)


def same_name(mine, theirs):
    """Where GCC gives no linkage name, others print the last word of ours."""
    mine, theirs = mine.replace(" ", ""), theirs.replace(" ", "")
    return mine == theirs or mine.endswith("::" + theirs)


def same_chain(mine, theirs, symbol):
    """Both tools put the symbol table's name in place of some names that are not the linker's."""
    if len(mine) != len(theirs):
        return False
    for i, ((name, mangled, file, line), (their_name, their_file, their_line)) in enumerate(zip(mine, theirs)):
        if (os.path.normpath(file) if file else "??", line) != (their_file, their_line):
            return False
        is_edge = i in (0, len(mine) - 1)
        if not same_name(mangled or name, their_name) and not (is_edge and symbol == their_name):
            return False
    return True


def compare(path, others, may_open=False, may_differ=0.0):
    """Every instruction of the program (but that share) has the chain that the other tool finds; how many there were."""
    addrs = instructions(path)
    status, answers = look_up(path, addrs, may_open=may_open)
    assert status == 0 and answers.end == len(answers.frames), (status, answers.problem)
    theirs = others(path, addrs)
    n_compared, wrong = 0, []
    for index, addr in enumerate(addrs):
        mine = answers.frames.get(index, [])
        if all(line == 0 for _, _, line in theirs[addr]) and not any(f[3] for f in mine):
            continue
        # Filler between functions belongs to none; the others name it by the nearest symbol before.
        if len(mine) == 1 and not mine[0][0]:
            continue
        n_compared += 1
        if not same_chain(mine, theirs[addr], answers.symbols.get(index, "")):
            wrong.append((hex(addr), mine, theirs[addr]))
    assert n_compared > 50, n_compared
    assert len(wrong) <= may_differ * n_compared, (len(wrong), n_compared, wrong[:2])
    return n_compared


def depth_of(path):
    _, answers = look_up(path, instructions(path))
    return max(len(f) for f in answers.frames.values())


# ---- cases -----------------------------------------------------------------

@case
def c_has_the_chains_of_both_tools():
    path = build("c-gcc", "gcc", C, ".c", "-O2", "-g")
    assert compare(path, by_llvm) and compare(path, by_binutils)
    assert depth_of(path) == 3  # square in cube in work
    compare(build("c-clang", "clang", C, ".c", "-O2", "-g"), by_llvm)


@case
def cxx_has_the_chains_of_both_tools():
    path = build("cxx-gcc", "g++", CXX, ".cc", "-O2", "-g")
    assert compare(path, by_llvm) and compare(path, by_binutils)
    assert depth_of(path) >= 6
    compare(build("cxx-clang", "clang++", CXX, ".cc", "-O2", "-g"), by_llvm)


@case
def names_without_a_linkage_name_get_their_scope():
    path = build("cxx-gcc", "g++", CXX, ".cc", "-O2", "-g")
    _, answers = look_up(path, instructions(path))
    names = {f[0] for chain in answers.frames.values() for f in chain}
    assert any(name.startswith("shop::twice<int>") for name in names), sorted(names)
    assert not any(name == "operator()" for name in names)
    assert any(re.match(r"main::.*::operator\(\)", name) for name in names)


@case
def rust_has_the_chains_of_llvm():
    path = build("rust", "rustc", RUST, ".rs", "-O", "-g")
    # Equal functions that were folded have several names: the tools need not choose the same one.
    assert compare(path, by_llvm, may_differ=0.01) > 1000
    _, answers = look_up(path, instructions(path))
    names = {f[0] for chain in answers.frames.values() for f in chain}
    assert any(name.endswith("::Sums::add") for name in names)
    assert not any(re.search(r"17h[0-9a-f]{16}E", name) for name in names)


@case
def older_versions_compressed_and_separate_files_say_the_same():
    compare(build("c-dwarf4", "gcc", C, ".c", "-O2", "-g", "-gdwarf-4"), by_binutils)
    compare(build("c-compressed", "gcc", C, ".c", "-O2", "-g", "-gz"), by_llvm)
    need("objcopy")
    path = build("c-gcc", "gcc", C, ".c", "-O2", "-g")
    debug = os.path.join(folder.name, "c-gcc.debug")
    subprocess.run(["objcopy", "--only-keep-debug", path, debug], check=True)
    addrs = instructions(path)
    assert look_up(debug, addrs)[1].frames == look_up(path, addrs)[1].frames


@case
def split_debug_information_is_read_where_files_may_be_opened():
    path = build("c-split", "gcc", C, ".c", "-O2", "-g", "-gsplit-dwarf")
    compare(path, by_llvm, may_open=True)
    addrs = instructions(path)
    names = [[f[0] for f in chain] for chain in look_up(path, addrs, may_open=True)[1].frames.values()]
    assert ["square", "cube", "work"] in names
    if SANITIZER == "none":
        assert not any("square" in chain for chain in
                       [[f[0] for f in chain] for chain in look_up(path, addrs)[1].frames.values()])


@case
def without_debug_information_the_symbol_table_answers():
    need("strip")
    path = build("c-gcc", "gcc", C, ".c", "-O2", "-g")
    bare = os.path.join(folder.name, "c-bare")
    subprocess.run(["strip", "-g", "-o", bare, path], check=True)
    status, answers = look_up(bare, instructions(path))
    assert status == 0 and answers.end
    assert "work" in answers.symbols.values() and not any(answers.frames.values())


@case
def damaged_files_cost_their_answers_only():
    path = build("cxx-gcc", "g++", CXX, ".cc", "-O2", "-g")
    addrs = instructions(path)[::7]
    good = open(path, "rb").read()
    debug = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    spans = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\.debug_\w+\s+PROGBITS\s+\w+\s+(\w+)\s+(\w+)", debug)]
    damaged = os.path.join(folder.name, "damaged")
    random.seed(5)
    for turn in range(60 if SANITIZER == "none" else 20):
        data = bytearray(good)
        for _ in range(1 << turn % 8):
            offset, size = random.choice(spans)
            data[offset + random.randrange(size)] = random.randrange(256)
        if turn % 10 == 9:
            data = data[:random.randrange(len(data))]
        with open(damaged, "wb") as file:
            file.write(data)
        start = time.monotonic()
        status, answers = look_up(damaged, addrs, memory=128, cpu=5)
        assert time.monotonic() - start < 30
        # Whatever libdw did, what came through the pipe is well-formed as far as it goes.
        assert all(0 <= index < len(addrs) for index in answers.frames), status


@case
def memory_and_time_have_an_end():
    if SANITIZER != "none":
        raise Skip("sanitizers need more address space than the limits leave")
    path = build("c-huge", "gcc", C, ".c", "-O2", "-g", "-gz")
    addrs = instructions(path)
    # Says that it inflates to 4 GiB: { ch_type, reserved, ch_size, ch_addralign }.
    data = bytearray(open(path, "rb").read())
    section = re.search(r"\.debug_info\s+PROGBITS\s+\w+\s+(\w+)",
                        subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout)
    struct.pack_into("<Q", data, int(section[1], 16) + 8, 4 << 30)
    huge = os.path.join(folder.name, "c-huge-section")
    with open(huge, "wb") as file:
        file.write(data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    look_up(huge, addrs, memory=32)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(before, 128 << 10)
    # No time at all: a signal, but not for ever.
    path = build("cxx-gcc", "g++", CXX, ".cc", "-O2", "-g")
    status = look_up_raw(path, sorted(instructions(path) * 400), cpu="0")
    assert status in (-signal.SIGKILL, -signal.SIGXCPU), status


@case
def it_cannot_reach_anything_else():
    """The system calls it may make, as the kernel lists them: none that opens, connects, forks or sends."""
    if SANITIZER != "none":
        raise Skip("sanitizers need more system calls than the filter leaves")
    need("strace")
    path = build("cxx-gcc", "g++", CXX, ".cc", "-O2", "-g")
    log = os.path.join(folder.name, "calls")
    with tempfile.TemporaryFile() as request, open(path, "rb") as file:
        request.write(struct.pack("<Q", instructions(path)[0]))
        request.flush()
        subprocess.run(["strace", "-f", "-o", log, PROGRAM, "64", "5"], stdin=request, stdout=subprocess.DEVNULL,
                       preexec_fn=lambda: (os.dup2(file.fileno(), 3), os.set_inheritable(3, True)), close_fds=False,
                       check=True)
    calls = open(log, encoding="utf-8").read().split("PR_SET_SECCOMP")[1]
    names = set(re.findall(r"^\d+ (\w+)\(", calls, re.M))
    assert not names & {"openat", "open", "socket", "clone", "clone3", "execve", "kill", "ptrace"}, names
    # libdw asks where the file lies, and is not told.
    assert all("readlink" in line for line in calls.splitlines() if "EPERM" in line), calls


@case
def nonsense_on_its_descriptors_is_refused():
    path = build("c-gcc", "gcc", C, ".c", "-O2", "-g")
    for addrs in ([], [2, 1]):
        assert look_up_raw(path, addrs) == 1
    done = subprocess.run([PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "started by wick" in done.stderr


run()
