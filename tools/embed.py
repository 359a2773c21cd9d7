#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py: files as C arrays, for programs that carry their own page.

    embed.py assets MANIFEST.json OUT.c     web_assets[] of web/assets.h, gzip'd
    embed.py viewer VIEWER.html OUT.c       web_viewer_html of web/viewer.h

The same input gives the same output, byte for byte (gzip without a time)."""
import gzip
import json
import os
import sys

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by tools/embed.py; do not edit. */\n"


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def c_numbers(data):
    lines = [",".join(str(b) for b in data[i:i + 32]) for i in range(0, len(data), 32)]
    return ",\n".join(lines)


def assets(manifest_path):
    folder = os.path.dirname(manifest_path)
    with open(manifest_path, encoding="utf-8") as f:
        rows = json.load(f)
    out = [HEAD, '#include "web/assets.h"\n\n']
    for i, row in enumerate(rows):
        with open(os.path.join(folder, row["file"]), "rb") as f:
            row["gz"] = gzip.compress(f.read(), compresslevel=9, mtime=0)
        out.append(f"static const uint8_t gz_{i}[] = {{\n{c_numbers(row['gz'])}\n}};\n\n")
    out.append("const struct web_asset web_assets[] = {\n")
    for i, row in enumerate(rows):
        fields = ", ".join(c_string(row[k]) for k in ("path", "type", "etag"))
        out.append(f"\t{{{fields}, gz_{i}, sizeof(gz_{i})}},\n")
    out.append("};\nconst size_t n_web_assets = sizeof(web_assets) / sizeof(web_assets[0]);\n")
    return "".join(out)


def viewer(path):
    with open(path, "rb") as f:
        data = f.read()
    if any(b > 127 for b in data):
        sys.exit(f"embed.py: {path}: not ASCII")
    return (f'{HEAD}#include "web/viewer.h"\n\nconst char web_viewer_html[] = {{\n{c_numbers(data + bytes(1))}\n}};\n'
            "const size_t web_viewer_html_size = sizeof(web_viewer_html) - 1;\n")


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("assets", "viewer"):
        sys.exit(__doc__)
    text = assets(sys.argv[2]) if sys.argv[1] == "assets" else viewer(sys.argv[2])
    with open(sys.argv[3], "w", encoding="ascii") as f:
        f.write(text)


main()
