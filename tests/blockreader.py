#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""blockreader.py [--encryption-keys FILE] FOLDER|FILE...: reads blocks by docs/block-format.md alone, and checks all that it says.

    block = Block(path)             header, tables, every hash; raises Damaged
    block.check()                   pages, postings, keys, sums, and what the block says of itself
    for series in block.series:     labels {"service": "api", ...}, type, host
        for chunk in block.chunks(series, RAW):
            for stack, labels, value in chunk.rows: ...

A folder is read by its manifest. Needs the standard library, libzstd and libxxhash, and for sealed blocks (docs/encryption.md) libgnutls;
exit status 77: they are not there. It shares no code with wick: what both read from the same bytes, the text says."""

import bisect
import collections
import ctypes
import ctypes.util
import hashlib
import hmac
import os
import struct
import sys

RAW, FIVE_MINUTES, HOUR, DAY = range(4)
STEP_MS = [0, 300_000, 3_600_000, 86_400_000]
HEADER, TRAILER, SECTION_ROW = 72, 32, 48
NAMES = {1: "META", 2: "STRINGS", 3: "NODES", 4: "FRAMES", 5: "MAPPINGS", 6: "FUNCTIONS", 7: "LABEL SETS", 8: "HOSTS",
         9: "SOURCES", 10: "LOSSES", 11: "SERIES", 12: "PAGES", 13: "POSTINGS", 14: "KEYS"}
KIND = {name: kind for kind, name in NAMES.items()}
I64_MAX = (1 << 63) - 1


class Damaged(Exception):
    """The bytes are not what the text says; its reason."""


class Unsupported(Exception):
    """A version that this reader does not know, or a seal without its key."""


class Missing(Exception):
    """A library is not on this machine."""


def need(condition, why):
    if not condition:
        raise Damaged(why)


# ---- libraries -----------------------------------------------------------------

class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def _load(name):
    path = ctypes.util.find_library(name)
    if not path:
        raise Missing(f"lib{name} is not here")
    return ctypes.CDLL(path)


class _Libraries:
    def __init__(self):
        size, pointer = ctypes.c_size_t, ctypes.c_char_p
        self.zstd, self.xxhash = _load("zstd"), _load("xxhash")
        for function, result, arguments in (
                (self.zstd.ZSTD_decompress, size, [pointer, size, pointer, size]),
                (self.zstd.ZSTD_isError, ctypes.c_uint, [size]),
                (self.zstd.ZSTD_findFrameCompressedSize, size, [pointer, size]),
                (self.xxhash.XXH3_64bits_withSeed, ctypes.c_uint64, [pointer, size, ctypes.c_uint64]),
                (self.xxhash.XXH3_128bits_withSeed, _Hash128, [pointer, size, ctypes.c_uint64])):
            function.restype, function.argtypes = result, arguments


_libraries = None


def libraries():
    """Raises Missing."""
    global _libraries  # pylint: disable=global-statement
    _libraries = _libraries or _Libraries()
    return _libraries


class _Datum(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_uint)]


def gnutls():
    """AES-GCM is in no standard library. Raises Missing."""
    library = _load("gnutls")
    library.gnutls_cipher_get_id.argtypes = [ctypes.c_char_p]
    library.gnutls_aead_cipher_init.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.POINTER(_Datum)]
    library.gnutls_aead_cipher_deinit.argtypes, library.gnutls_aead_cipher_deinit.restype = [ctypes.c_void_p], None
    library.gnutls_aead_cipher_decrypt.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_char_p,
        ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t)]
    return library


# ---- seals -----------------------------------------------------------------------

NONCE, TAG = 12, 16


def read_keys(path):
    """{id: key} of a key file."""
    keys = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            words = line.split("#")[0].split()
            if words:
                keys[words[0]] = bytes.fromhex(words[1])
    return keys


class Seal:
    """The key of one file."""

    def __init__(self, master, file_id):
        self.gnutls, self.file_id, self.handle = gnutls(), file_id, ctypes.c_void_p()
        # HKDF: extract, then the first 32 bytes of expand.
        key = hmac.new(hmac.new(file_id, master, hashlib.sha256).digest(), b"wick sealed file 1\x01", hashlib.sha256).digest()
        cipher = self.gnutls.gnutls_cipher_get_id(b"AES-256-GCM")
        if self.gnutls.gnutls_aead_cipher_init(ctypes.byref(self.handle), cipher, ctypes.byref(_Datum(key, len(key)))) < 0:
            raise Missing("libgnutls has no AES-256-GCM")

    def __del__(self):
        if self.handle:
            self.gnutls.gnutls_aead_cipher_deinit(self.handle)

    def open(self, off, sealed, what):
        need(len(sealed) >= NONCE + TAG, f"{what}: too short for a sealed piece")
        additional, n = self.file_id + struct.pack("<Q", off), ctypes.c_size_t(len(sealed) - NONCE - TAG)
        out = ctypes.create_string_buffer(n.value or 1)
        r = self.gnutls.gnutls_aead_cipher_decrypt(self.handle, sealed[:NONCE], NONCE, additional, len(additional), TAG,
                                                   sealed[NONCE:], len(sealed) - NONCE, out, ctypes.byref(n))
        need(r == 0, f"{what}: the key does not open it")
        return out.raw[:n.value]


def hash64(data, seed=0):
    return libraries().xxhash.XXH3_64bits_withSeed(bytes(data), len(data), seed)


def hash_key(key, seed):
    h = libraries().xxhash.XXH3_128bits_withSeed(bytes(key), len(key), seed)
    return h.low, h.high


def unpack_frame(data, size):
    z = libraries().zstd
    need(z.ZSTD_findFrameCompressedSize(data, len(data)) == len(data), "not one zstd frame")
    out = ctypes.create_string_buffer(size or 1)
    n = z.ZSTD_decompress(out, size, data, len(data))
    need(not z.ZSTD_isError(n) and n == size, "a zstd frame that does not unpack to its size")
    return out.raw[:size]


# ---- columns -------------------------------------------------------------------

class Column:
    """One column; every read leaves it behind the value read."""

    def __init__(self, data):
        self.data, self.at, self.last = data, 0, 0

    def left(self):
        return len(self.data) - self.at

    def u(self):
        v = shift = 0
        while True:
            need(self.at < len(self.data) and shift < 64, "a varint that does not end")
            byte = self.data[self.at]
            self.at += 1
            v |= (byte & 127) << shift
            if byte < 128:
                need(v < 1 << 64, "a varint of more than 64 bits")
                return v
            shift += 7

    def z(self):
        v = self.u()
        return (v >> 1) ^ -(v & 1)

    def d(self, signed=True):
        self.last = (self.last + self.z()) % (1 << 64)
        return self.last - (1 << 64) if signed and self.last > I64_MAX else self.last

    def r(self, counter, rows):
        code = self.u()
        if code == 0:
            row, counter[0] = counter[0], counter[0] + 1
        else:
            row = 0 if code == 1 else counter[0] - (code - 1)
        need(0 <= row <= rows and not (code > 1 and row == 0), f"reference to row {row} of {rows}")
        return row

    def b(self, n):
        need(n <= self.left(), "bytes are missing")
        self.at += n
        return self.data[self.at - n:self.at]

    def done(self):
        need(self.at == len(self.data), f"{self.left()} bytes too many in a column")


def columns(data, n=None):
    """Splits a section into its n columns, or all there are."""
    rest, out = Column(data), []
    while rest.left() if n is None else len(out) < n:
        out.append(Column(rest.b(rest.u())))
    rest.done()
    return out


def fields(data):
    at = 0
    while at < len(data):
        need(at + 4 <= len(data), "a field is cut")
        number, zero, size = struct.unpack_from("<BBH", data, at)
        need(zero == 0 and at + 4 + size <= len(data), "a field is cut")
        yield number, data[at + 4:at + 4 + size]
        at += 4 + size


# ---- what a block holds ----------------------------------------------------------

Section = collections.namedtuple("Section", "kind codec n off stored size hash")
Frame = collections.namedtuple("Frame", "function mapping address line kind found flags column")
Mapping = collections.namedtuple("Mapping", "start limit offset path build_id flags")
Function = collections.namedtuple("Function", "name system_name file start_line")
Label = collections.namedtuple("Label", "key is_number text unit number")
Window = collections.namedtuple("Window", "from_ms duration_ms cpus source losses samples")
Series = collections.namedtuple("Series", "labels type host last_ms pages")  # pages: a list for each resolution
Page = collections.namedtuple("Page", "off chunks from_ms span_ms stored size hash")
Observation = collections.namedtuple("Observation", "time_ms row value")
Key = collections.namedtuple("Key", "low high arrived_ms")


class Chunk:
    def __init__(self, from_ms, duration_ms, n_rows, scale, total, profiles):
        self.from_ms, self.duration_ms, self.n_rows = from_ms, duration_ms, n_rows
        self.scale, self.total, self.profiles = scale, total, profiles
        self.first = profiles   # counted here, and not with another type
        self.ids = []           # (node, label set, value)
        self.rows = []          # (stack root first, labels, value)
        self.observations = []

    def end_ms(self):
        """One past its last ms; an instant counts as 1 ms."""
        return self.from_ms + (self.duration_ms or 1)


META_NUMBERS = {1: "from_ms", 2: "to_ms", 4: "arrived_from_ms", 5: "arrived_to_ms", 6: "last_seq", 7: "profiles", 8: "nodes",
                9: "level", 10: "resolutions", 12: "observations", 13: "series", 15: "starts_from_ms", 16: "starts_to_ms", 17: "key_seed"}
META_OPTIONAL = (17,)
META_SIGNED = (1, 2, 4, 5, 15, 16)


class Block:
    def __init__(self, path, keys=None):
        with open(path, "rb") as f:
            self.data = f.read()
        self.path = path
        self._read_header(os.path.basename(path), keys or {})
        self._read_table()
        self._read_meta()
        self._read_names()
        self._read_measured()
        self._read_series()
        self.keys = [Key(*struct.unpack("<QQq", row)) for row in self._rows_of_bytes("KEYS", 24)]

    # ---- the file

    def _read_header(self, name, keys):
        d = self.data
        need(len(d) >= HEADER + TRAILER, "too short for a block")
        need(d[:8] == b"wickblk\0", "not a block")
        version, zero = struct.unpack_from("<II", d, 8)
        if version != 1:
            raise Unsupported(f"block version {version}")
        need(struct.unpack_from("<Q", d, 64)[0] == hash64(d[:64]), "the header's hash is wrong")
        need(zero == 0, "the header's zero is not one")
        self.id = d[16:32]
        self.key_id, self.seal = d[32:64].rstrip(b"\0").decode(), None
        if self.key_id:
            if self.key_id not in keys:
                raise Unsupported(f"the block is sealed with the key {self.key_id}")
            self.seal = Seal(keys[self.key_id], self.id)
        self.extra = NONCE + TAG if self.seal else 0
        self.seed, = struct.unpack("<Q", self.id[:8])
        if name.endswith(".blk") and len(name) == 36:
            need(name == self.id.hex() + ".blk", "the block is another one than its name says")

    def _read_table(self):
        d = self.data
        off, n, zero, checked = struct.unpack_from("<QIIQ", d, len(d) - TRAILER)
        need(d[-8:] == b"wickend\0", "no trailer")
        need(off % 8 == 0 and off + n * SECTION_ROW + TRAILER == len(d), "the section table is not where the trailer says")
        need(hash64(d[off:len(d) - 16], self.seed) == checked, "the section table's hash is wrong")
        need(zero == 0, "the trailer's zero is not one")
        self.table_off, self.sections = off, {}
        for i in range(n):
            *row, zero = struct.unpack_from("<HHIQQQQQ", d, off + i * SECTION_ROW)
            s = Section(*row)
            need(zero == 0 and s.codec in (0, 1), f"row {i} of the section table makes no sense")
            need(s.off % 8 == 0 and HEADER <= s.off and s.off + s.stored <= off, f"section {s.kind} lies outside")
            need(s.kind not in self.sections, f"section {s.kind} is there twice")
            self.sections[s.kind] = s

    def _section(self, name):
        s = self.sections.get(KIND[name])
        if not s:
            return 0, b""
        return s.n, self._unpack(s.off, s.stored, s.size, s.hash, s.codec == 1, name)

    def _unpack(self, off, stored, size, checked, is_packed, what):
        data = self.data[off:off + stored]
        need(len(data) == stored and hash64(data, self.seed) == checked, f"{what}: the hash is wrong")
        if size == 0:
            need(stored == 0, f"{what}: something is stored of nothing")
            return b""
        need(self.extra <= stored <= size + self.extra, f"{what}: as stored it is larger")
        need(is_packed == (stored - self.extra < size), f"{what}: plain, and of another size")
        if self.seal:
            data = self.seal.open(off, data, what)
        return unpack_frame(data, size) if is_packed else data

    def _rows_of_bytes(self, name, size):
        n, data = self._section(name)
        need(len(data) == n * size, f"{name}: {len(data)} bytes of {n} rows")
        return [data[i:i + size] for i in range(0, len(data), size)]

    def _read_meta(self):
        _, data = self._section("META")
        self.meta = {"replaces": [], "types": [], "tenant": b""}
        for number, value in fields(data):
            if number in META_NUMBERS:
                need(len(value) == 8, f"META field {number} has {len(value)} bytes")
                self.meta[META_NUMBERS[number]], = struct.unpack("<q" if number in META_SIGNED else "<Q", value)
            elif number == 3:
                need(len(value) == 16, "META: an id of another size")
                self.meta["replaces"].append(value.hex())
            elif number == 14:
                self.meta["types"].append(value.decode())
            elif number == 11:
                self.meta["tenant"] = value
        for number, name in META_NUMBERS.items():
            need(name in self.meta or number in META_OPTIONAL, f"META has no {name}")

    # ---- names

    def _string(self, row):
        need(row < len(self.strings), f"string {row} of {len(self.strings) - 1}")
        return self.strings[row]

    def _table(self, name, n_columns):
        """(n, columns); a table without a row may have no columns."""
        n, data = self._section(name)
        if n == 0 and not data:
            return 0, [Column(b"") for _ in range(n_columns)]
        return n, columns(data, n_columns)

    def _read_names(self):
        n, (sizes, text) = self._table("STRINGS", 2)
        self.strings = [""] + [text.b(sizes.u()).decode("utf-8", "surrogateescape") for _ in range(n)]
        self._end(sizes, text)
        n, c = self._table("FUNCTIONS", 4)
        self.functions = [None] + [Function(*(self._string(k.u()) for k in c[:3]), c[3].u()) for _ in range(n)]
        self._end(*c)
        n, c = self._table("MAPPINGS", 6)
        self.mappings = [None] + [Mapping(c[0].u(), c[1].u(), c[2].u(), self._string(c[3].u()), self._string(c[4].u()), c[5].u())
                                  for _ in range(n)]
        self._end(*c)
        self._read_frames()
        self._read_nodes()
        self._read_label_sets()

    @staticmethod
    def _end(*all_columns):
        for c in all_columns:
            c.done()

    def _read_frames(self):
        n, c = self._table("FRAMES", 8)
        function, mapping = [1], [1]
        self.frames = [None]
        for _ in range(n):
            f = c[0].r(function, len(self.functions) - 1)
            m = c[1].r(mapping, len(self.mappings) - 1)
            self.frames.append(Frame(self.functions[f], self.mappings[m], c[2].d(signed=False), *(k.u() for k in c[3:])))
        self._end(*c)

    def _read_nodes(self):
        n, (up, frame) = self._table("NODES", 2)
        counter = [1]
        self.parent, self.node_frame = [0], [None]
        for i in range(1, n + 1):
            parent = i - 1
            for _ in range(up.u()):
                need(parent != 0, f"node {i} stands above the root")
                parent = self.parent[parent]
            self.parent.append(parent)
            self.node_frame.append(self.frames[frame.r(counter, len(self.frames) - 1)])
        self._end(up, frame)

    def _read_label_sets(self):
        n, c = self._table("LABEL SETS", 6)
        self.label_sets = [()]
        for _ in range(n):
            labels = []
            for _ in range(c[0].u()):
                label = Label(self._string(c[1].u()), c[2].u(), self._string(c[3].u()), self._string(c[4].u()), c[5].d())
                need(label.is_number in (0, 1), "a label that is neither number nor text")
                labels.append(label)
            self.label_sets.append(tuple(labels))
        self._end(*c)

    def stack(self, node):
        """Names, root first; a frame without a name is its address."""
        out = []
        while node:
            f = self.node_frame[node]
            out.append(f.function.name if f.function and f.function.name else hex(f.address))
            node = self.parent[node]
        return tuple(reversed(out))

    # ---- what was measured

    def _read_measured(self):
        n, c = self._table("SOURCES", 2)
        self.sources = [("", "")] + [(self._string(c[0].u()), self._string(c[1].u())) for _ in range(n)]
        self._end(*c)
        n, data = self._section("LOSSES")
        names, *counts = columns(data) if data else [Column(b"")]
        reasons = []
        while names.left():
            reasons.append(self._string(names.u()))
        need(len(reasons) == len(counts) and len(set(reasons)) == len(reasons), "LOSSES: other columns than names")
        self.losses = [{}] + [{reason: k.u() for reason, k in zip(reasons, counts)} for _ in range(n)]
        self._end(*counts)
        n, c = self._table("HOSTS", 8)
        self.hosts = []
        for _ in range(n):
            name, windows = self._string(c[0].u()), []
            for _ in range(c[1].u()):
                w = Window(c[2].d(), *(k.u() for k in c[3:]))
                need(w.source < len(self.sources) and w.losses < len(self.losses), "a window of what is not there")
                windows.append(w)
            self.hosts.append((name, windows))
        self._end(*c)

    def _read_series(self):
        n, data = self._section("PAGES")
        c = columns(data, 11) if data else [Column(b"")] * 11
        pages = []
        for _ in range(n):
            off, chunks, from_ms, span = c[0].d(signed=False), c[1].u(), c[2].d(), c[3].u()
            sizes = [k.u() for k in c[4:10]]
            page = Page(off, chunks, from_ms, span, sizes[0::2], sizes[1::2], struct.unpack("<QQQ", c[10].b(24)))
            need(off % 8 == 0 and off >= HEADER and off + sum(page.stored) <= self.table_off, "a page lies outside")
            pages.append(page)
        self._end(*c)
        self.pages = list(pages)
        n, data = self._section("SERIES")
        names, *c = columns(data) if data else [Column(b"")] * 8
        self.label_names, self.series = [], []
        while names.left():
            self.label_names.append(self._string(names.u()))
        values, rest = c[:len(self.label_names)], c[len(self.label_names):]
        need(len(rest) == 7, "SERIES: a column too many or too few")
        for _ in range(n):
            labels = {name: self._string(k.u()) for name, k in zip(self.label_names, values)}
            type_, host, last = self._string(rest[0].u()), rest[1].u(), rest[2].d()
            need(host < len(self.hosts), "a series of a host that is not there")
            own = []
            for k in rest[3:]:
                count = k.u()
                need(count <= len(pages), "a series of pages that are not there")
                own.append(pages[:count])
                del pages[:count]
            self.series.append(Series(labels, type_, self.hosts[host][0], last, own))
        self._end(*c)
        need(not pages, f"{len(pages)} pages of no series")

    # ---- chunks

    def chunks(self, series, resolution):
        for page in series.pages[resolution]:
            yield from self.page_chunks(page)

    def _piece(self, page, i, what):
        off = page.off + sum(page.stored[:i])
        return self._unpack(off, page.stored[i], page.size[i], page.hash[i],
                            page.stored[i] - self.extra < page.size[i], what)

    def page_chunks(self, page):
        c = columns(self._piece(page, 0, "heads"))
        need(len(c) in (6, 7), "heads: other columns")
        out = [Chunk(c[0].d(), c[1].u(), c[2].u(), c[3].u(), c[4].z(), c[5].u()) for _ in range(page.chunks)]
        for chunk in out if len(c) == 7 and c[6].data else []:
            chunk.first = c[6].u()
        self._end(*c)
        node, labels, value = columns(self._piece(page, 1, "rows"), 3)
        for chunk in out:
            self._read_rows(chunk, node, labels if labels.data else None, value)
        self._end(node, labels, value)
        times = self._piece(page, 2, "times")
        if times:
            self._read_times(out, columns(times, 5))
        return out

    def _read_rows(self, chunk, node, labels, value):
        last_node, last_labels = 0, 0
        for _ in range(chunk.n_rows):
            before = last_node, last_labels
            last_node += node.u()
            last_labels += labels_step(labels)
            need(last_node < len(self.parent) and 0 <= last_labels < len(self.label_sets), "a row of what is not there")
            need(not chunk.ids or before < (last_node, last_labels), "rows that are not in order")
            v = value.z() * chunk.scale
            chunk.ids.append((last_node, last_labels, v))
            chunk.rows.append((self.stack(last_node), self.label_sets[last_labels], v))

    def _read_times(self, chunks, c):
        for chunk in chunks:
            n, unit = c[0].u(), c[1].u()
            rank = sorted(range(len(chunk.ids)), key=lambda i, ids=chunk.ids: (-ids[i][2], i))
            time = chunk.from_ms
            for _ in range(n):
                time += c[2].u()
                place = c[3].u()
                need(place < len(rank), "an observation of no row")
                chunk.observations.append(Observation(time, rank[place], c[4].z() * unit))
        self._end(*c)

    # ---- checks

    def check(self):
        """All that the text promises. Raises Damaged."""
        self._check_space()
        self._check_postings()
        keys = [(k.low, k.high) for k in self.keys]
        need(keys == sorted(keys), "keys are not in order")
        need(all(self.meta["arrived_from_ms"] <= k.arrived_ms <= self.meta["arrived_to_ms"] for k in self.keys),
             "a key that came when no profile did")
        seen = collections.Counter()
        for series in self.series:
            self._check_series(series, seen)
        self._check_meta(seen)

    def _check_space(self):
        """Pages and sections fill the file, and nothing lies in two."""
        used = [(HEADER, HEADER), (self.table_off, self.table_off)]
        used += [(s.off, s.off + s.stored) for s in self.sections.values()]
        used += [(p.off, p.off + sum(p.stored)) for p in self.pages]
        used.sort()
        for (_, end), (start, _) in zip(used, used[1:]):
            need(end <= start < end + 8 and not any(self.data[end:start]), f"bytes {end} to {start} are nobody's")
        for s in self.sections.values():
            if s.kind not in NAMES:
                need(hash64(self.data[s.off:s.off + s.stored], self.seed) == s.hash, f"section {s.kind}: the hash is wrong")

    def _check_postings(self):
        n, (n_values, string, n_series, series) = self._table("POSTINGS", 4)
        need(n == len(self.label_names) + 1, "POSTINGS: other labels than SERIES")
        for name in self.label_names + [None]:
            wanted = collections.defaultdict(list)
            for i, s in enumerate(self.series):
                wanted[s.labels[name] if name else s.type].append(i)
            found, order = {}, []
            for _ in range(n_values.u()):
                value = self._string(string.u())
                order.append(value.encode("utf-8", "surrogateescape"))
                found[value] = [series.d() for _ in range(n_series.u())]
            need(order == sorted(set(order)), f"POSTINGS: values of {name or 'type'} are not in order")
            need(found == wanted, f"POSTINGS of {name or 'type'} are not those of SERIES")
        self._end(n_values, string, n_series, series)

    def _check_series(self, series, seen):
        finer = None
        for resolution, pages in enumerate(series.pages):
            if not pages:
                continue
            chunks = [c for page in pages for c in self._check_page(page)]
            need(all(a.from_ms <= b.from_ms for a, b in zip(chunks, chunks[1:])), "chunks that are not in order")
            for c in chunks:
                self._check_chunk(c, resolution)
            seen["resolutions"] |= 1 << resolution
            seen["observations"] += sum(len(c.observations) for c in chunks)
            if finer:
                self._check_sums(finer, chunks, resolution)
            else:
                self._check_finest(series, chunks, seen)
            finer = chunks
        need(finer, "a series without a chunk")

    def _check_page(self, page):
        chunks = self.page_chunks(page)
        need(chunks, "an empty page")
        need(page.from_ms == chunks[0].from_ms, "from of a page")
        need(page.from_ms + page.span_ms == max(c.end_ms() for c in chunks), "span of a page")
        return chunks

    def _check_finest(self, series, chunks, seen):
        start, end = chunks[0].from_ms, max(c.from_ms + c.duration_ms for c in chunks)
        need(series.last_ms == end, f"last ms {series.last_ms} of a series that ends at {end}")
        need(self.meta["starts_from_ms"] <= start and chunks[-1].from_ms < self.meta["starts_to_ms"], "a start out of range")
        profiles = sum(c.profiles for c in chunks)
        seen["first"] += sum(c.first for c in chunks)
        seen["most"] = max(seen["most"], profiles)
        seen["from"], seen["to"] = min(seen.get("from", start), start), max(seen.get("to", end), end)

    @staticmethod
    def _check_chunk(c, resolution):
        need(c.scale > 0, "scale 0")
        need(c.total == min(sum(v for _, _, v in c.ids), I64_MAX), "the total is not the sum of the values")
        need(c.first <= c.profiles, f"{c.first} profiles counted of {c.profiles}")
        need(c.profiles > 0 and (resolution != RAW or c.profiles == 1), f"{c.profiles} profiles in a chunk")
        need(resolution == RAW or not c.observations, "a sum with observations")
        need(all(o.time_ms >= c.from_ms for o in c.observations), "an observation before its chunk")

    @staticmethod
    def _check_sums(finer, coarser, resolution):
        """Both have the same in each step of the coarser one."""
        def by_step(chunks):
            steps = {}
            for c in chunks:
                step = steps.setdefault(c.from_ms // STEP_MS[resolution], [collections.Counter(), 0, c.from_ms, 0, 0])
                for node, labels, value in c.ids:
                    step[0][node, labels] += value
                step[1] += c.profiles
                step[2:] = min(step[2], c.from_ms), max(step[3], c.end_ms()), step[4] + c.first
            return steps
        wanted = by_step(finer)
        need(len(wanted) == len(coarser), f"two chunks of one step at resolution {resolution}, or none")
        for step, got in by_step(coarser).items():
            need(got == wanted.get(step), f"the sum of step {step} at resolution {resolution} is another one")

    def _check_meta(self, seen):
        m = self.meta
        need(m["nodes"] == len(self.parent) - 1 and m["series"] == len(self.series), "META: nodes or series")
        need(m["profiles"] == max(seen["first"], seen["most"]), f"META: {m['profiles']} profiles, not {seen['first']}")
        need(m["observations"] == seen["observations"], f"META: {m['observations']} observations, not {seen['observations']}")
        need(m["resolutions"] == seen["resolutions"], "META: resolutions")
        need((m["from_ms"], m["to_ms"]) == (seen["from"], seen["to"]), "META: from and to")
        need(sorted(m["types"]) == sorted({s.type for s in self.series}), "META: types")
        need(m["arrived_from_ms"] <= m["arrived_to_ms"], "META: arrival")
        for name, windows in self.hosts:
            order = [(w.from_ms, w.duration_ms) for w in windows]
            need(order == sorted(order), f"windows of host {name} are not in order")
            at = bisect.bisect_left(order, (m["starts_from_ms"], 0))
            need(at == 0 and (not order or order[-1][0] < m["starts_to_ms"]), f"windows of host {name} out of range")


def labels_step(labels):
    return labels.z() if labels else 0


# ---- the folder --------------------------------------------------------------------

class Manifest:
    """The text `manifest` of a folder of blocks."""

    def __init__(self, folder):
        with open(os.path.join(folder, "manifest"), "rb") as f:
            data = f.read()
        lines = data.split(b"\n")
        need(data.startswith(b"wick-manifest "), "not a manifest")
        need(lines[-1] == b"" and lines[-2].startswith(b"check "), "the last line is not the checksum")
        before = len(data) - len(lines[-2]) - 1
        need(lines[-2] == b"check %016x" % hash64(data[:before]), "the manifest's hash is wrong")
        if lines[0] != b"wick-manifest 1":
            raise Unsupported(lines[0].decode())
        self.blocks, self.kept = [], []
        for line in lines[1:-2]:
            words = line.decode().split()
            if words[0] == "store":
                self.store = words[1]
                values = dict(w.split("=", 1) for w in words[2:] if "=" in w)
                self.key_seed, self.last_seq = int(values["key_seed"], 16), int(values["last_seq"])
            elif words[0] == "block":
                self.blocks.append(words[1])
            elif words[0] == "kept":
                self.kept.append(int(words[1]))
        need(len(set(self.blocks)) == len(self.blocks), "a block is named twice")
        need(all(k <= self.last_seq for k in self.kept), "kept a record that is not behind")


def unreplaced(folder, keys=None):
    """The ids that a manifest made anew names: all whole blocks but those that another one says it replaces."""
    found, replaced = set(), set()
    for name in os.listdir(folder):
        if name.endswith(".blk"):
            block = Block(os.path.join(folder, name), keys)
            found.add(block.id.hex())
            replaced.update(block.meta["replaces"])
    return found - replaced


def read_folder(folder, keys=None):
    """(manifest, blocks), all checked."""
    manifest = Manifest(folder)
    blocks = [Block(os.path.join(folder, name + ".blk"), keys) for name in manifest.blocks]
    for block in blocks:
        block.check()
        need(block.meta.get("key_seed", manifest.key_seed) == manifest.key_seed, "a block of keys with another seed")
        need(block.meta["last_seq"] <= manifest.last_seq, "a block of a record that is not behind")
    return manifest, blocks


def sums(blocks, resolution=None):
    """{(labels as items, type, stack): value} of all chunks: the finest of each series, or those of one resolution."""
    out = collections.Counter()
    for block in blocks:
        for series in block.series:
            finest = next(r for r in range(4) if series.pages[r])
            for chunk in block.chunks(series, finest if resolution is None else resolution):
                for stack, _, value in chunk.rows:
                    out[tuple(sorted(series.labels.items())), series.type, stack] += value
    return out


def main(paths):
    keys = None
    if paths[:1] == ["--encryption-keys"]:
        keys, paths = read_keys(paths[1]), paths[2:]
    try:
        libraries()
        if keys:
            gnutls()
    except Missing as why:
        print(f"blockreader: {why}", file=sys.stderr)
        return 77
    status = 0
    for path in paths:
        try:
            if os.path.isdir(path):
                _, blocks = read_folder(path, keys)
            else:
                blocks = [Block(path, keys)]
                blocks[0].check()
        except (Damaged, Unsupported) as why:
            print(f"{path}: {why}", file=sys.stderr)
            status = 1
            continue
        for b in blocks:
            resolutions = [sum(c.total for s in b.series for c in b.chunks(s, r)) for r in range(4)]
            print(f"{b.id.hex()} level={b.meta['level']} profiles={b.meta['profiles']} series={len(b.series)} "
                  f"nodes={len(b.parent) - 1} keys={len(b.keys)} totals={','.join(map(str, resolutions))}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
