#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cli_test: wick as a person or a script calls it: formats, messages, exit
statuses. Usage: cli_test.py BUILD_DIR"""

import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from tap import Skip, case, run

WICK = os.path.join(os.path.abspath(sys.argv[1]), "wick")
DATA = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "pprof"
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


@case
def folded_survives_every_detour():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("a.pb.gz", "a.pb", "a.pprof"):
            assert wick("convert", path / "in.folded", path / name).returncode == 0
            assert wick("convert", path / name, path / f"{name}.folded").returncode == 0
            assert sorted((path / f"{name}.folded").read_text().splitlines()) == sorted(FOLDED.splitlines())


@case
def report_json_has_the_promised_shape():
    result = wick("report", "-", "--json", "--top", "2", stdin=FOLDED.encode())
    assert result.returncode == 0, result.stderr
    top = json.loads(result.stdout)
    assert top["type"] == "samples" and top["unit"] == "count" and top["total"] == 100
    assert [(f["name"], f["self"], f["total"]) for f in top["functions"]] == [
        ("operator new(unsigned long)", 60, 60),
        ("read", 30, 30),
    ]
    assert set(top["functions"][0]) == {"name", "file", "self", "total"}


@case
def report_text_is_plain():
    result = wick("report", "-", stdin=FOLDED.encode())
    assert result.returncode == 0 and b"\x1b" not in result.stdout
    assert b"60.00%" in result.stdout and b"operator new" in result.stdout


@case
def flame_graphs_hold_every_name():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        for name in ("out.svg", "out.html"):
            assert wick("report", path / "in.folded", "--flame", path / name).returncode == 0
        svg = (path / "out.svg").read_text()
        assert svg.startswith("<?xml") or svg.startswith("<svg")
        for name in ("main", "parse", "read", "operator new(unsigned long)"):
            assert name in svg, name
        html = (path / "out.html").read_text()
        assert "http://" not in html.replace("http://www.w3.org/", "") and "https://" not in html
        assert len(html) < 150_000, len(html)


@case
def existing_files_are_kept():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "in.folded").write_text(FOLDED)
        (path / "out.pb").write_text("precious")
        refused(wick("convert", path / "in.folded", path / "out.pb"), 1, "--force")
        assert (path / "out.pb").read_text() == "precious"
        assert wick("convert", path / "in.folded", path / "out.pb", "--force").returncode == 0
        assert sorted(os.listdir(folder)) == ["in.folded", "out.pb"]


@case
def wrong_input_is_named():
    with workspace() as folder:
        path = pathlib.Path(folder)
        (path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
        (path / "empty.pb").write_bytes(b"")
        whole = path / "whole.pb"
        (path / "in.folded").write_text(FOLDED)
        assert wick("convert", path / "in.folded", whole).returncode == 0
        (path / "cut.pb").write_bytes(whole.read_bytes()[:-7])
        (path / "cut.pb.gz").write_bytes(gzip.compress(whole.read_bytes())[:-9])
        refused(wick("report", path / "a.png"), 3, "a.png", "PNG")
        refused(wick("report", path / "empty.pb"), 3, "empty.pb", "empty")
        refused(wick("report", path / "cut.pb"), 3, "cut.pb")
        refused(wick("report", path / "cut.pb.gz"), 3, "cut.pb.gz")
        refused(wick("report", path / "absent"), 1, "absent", "No such file")
        refused(wick("report", folder), 1, "directory")
        refused(wick("report", "-", "--type", "heap", stdin=FOLDED.encode()), 1, "samples:count")


@case
def wrong_usage_is_status_2():
    refused(wick("frobnicate"), 2, "frobnicate")
    refused(wick("report"), 2, "wick help report")
    refused(wick("report", "--top", "many", "x"), 2, "many")
    refused(wick("convert", "a"), 2)
    refused(wick("convert", "a", "b.xyz"), 2, ".pb.gz")
    refused(wick("record", "-o", "x.pb.gz"), 2)
    refused(wick("record", "-p", "0", "-o", "x.pb.gz"), 2)
    assert wick("help").returncode == 0 and wick("help", "record").returncode == 0
    assert json.loads(wick("version", "--json").stdout)["version"]


@case
def full_disk_leaves_nothing():
    result = subprocess.run(
        ["sh", "-c", f"'{WICK}' report - >/dev/full"], input=FOLDED.encode(), capture_output=True, check=False
    )
    assert result.returncode == 1 and b"No space" in result.stderr, result


@case
def starts_in_a_blink():
    # 20 ms is the goal; a hundred starts share one noisy moment.
    import time

    begin = time.monotonic()
    for _ in range(20):
        wick("version")
    assert (time.monotonic() - begin) / 20 < 0.2


@case
def real_profiles_open():
    if not DATA.is_dir():
        raise Skip("../shared/data is not there")
    files = sorted(DATA.glob("*.pb.gz")) + sorted(DATA.glob("series/*.pb.gz")) + [DATA / "large.cpu"]
    assert len(files) > 10
    for file in files:
        result = wick("report", file, "--json", "--top", "5")
        assert result.returncode == 0, (file, result.stderr)
        top = json.loads(result.stdout)
        assert top["functions"] and all(f["total"] >= f["self"] for f in top["functions"]), file


run()
