"""The corpus' rows about output and files that are shown: sanitiser, card, safe opening."""

from __future__ import annotations

import csv
import os
import re
import struct
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skill_magic.files import FileChange, FileRefusedError, open_result
from skill_magic.output import saved
from skill_magic.result import RunResult
from skill_magic.text import LINE_LIMIT, LineLimit, sanitize
from skill_magic.views import card

CORPUS = Path(__file__).parents[1] / "corpus" / "policy_cases.tsv"


def rows() -> Iterator[dict[str, str]]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] == "output":
                yield row


def inputs(row: dict[str, str]) -> dict[str, Any]:
    return tomllib.loads(row["manifest_snippet_or_value"].replace("\\n", "\n"))


def output_of(row: dict[str, str]) -> str:
    output = str(inputs(row)["output"])
    found = re.fullmatch(r"\{ONELINE:(\d+)\}", output)
    return "x" * int(found[1]) if found else output


def a_result(output: str, **changes: Any) -> RunResult:
    facts: dict[str, Any] = {
        "skill": "t",
        "args": (),
        "image": "debian:12",
        "state": "finished",
        "exit_code": 0,
    }
    facts |= {"duration": 1.0, "started": 0.0, "output": saved(output.encode())}
    return RunResult(**(facts | changes))


ROWS = list(rows())
TEXTS = [row for row in ROWS if "output" in inputs(row)]
FILES = [row for row in ROWS if "result_file" in inputs(row)]
MARKUP = re.compile(r"<(?!/?(?:div|pre|span|details|summary)\b)", re.IGNORECASE)


def test_no_row_is_left_out() -> None:
    assert len(TEXTS) + len(FILES) == len(ROWS) > 10


@pytest.mark.parametrize("row", TEXTS, ids=[row["id"] for row in TEXTS])
def test_text(row: dict[str, str]) -> None:
    output = output_of(row)
    limit = LineLimit()
    shown = limit.feed(sanitize(output)) + limit.close()
    html = card.html(a_result(output))
    if row["expected"] == "allow" or re.search("html|markdown|CVE", row["reason"], re.IGNORECASE):
        assert shown == output  # text stays text, byte for byte
    else:
        assert shown != output
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert re.sub(r"\x1b\[[0-9;:]*m", "", shown).count("\x1b") == 0
    assert len(shown) <= LINE_LIMIT + 100
    assert MARKUP.search(html) is None
    assert "commandlinker" not in re.sub(r"&lt;.*?&gt;", "", html)
    assert len(html) < 100_000


def png(size: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0\0\0\0\0\0" * 2))
    padding = chunk(b"teXt", b"x" * max(size - len(head) - len(pixels) - 24, 0))
    return head + padding + pixels + chunk(b"IEND", b"")


def build(project: Path, files: dict[str, str]) -> None:
    (project.parent / ".ssh").mkdir()
    (project.parent / ".ssh" / "id_rsa").write_text("PRIVATE")
    (project.parent / ".bashrc").write_text("PRIVATE")
    for name, what in files.items():
        path = project / name
        if what.startswith("-> "):
            path.symlink_to(what.removeprefix("-> ").replace("/home/u", str(project.parent)))
        elif what == "fifo":
            os.mkfifo(path)
        else:
            kind, _, size = what.partition(" ")
            assert kind == "PNG", what
            path.write_bytes(png(int(size.removesuffix("KB")) * 1024))


@pytest.mark.parametrize("row", FILES, ids=[row["id"] for row in FILES])
def test_file(row: dict[str, str], tmp_path: Path) -> None:
    project = tmp_path / "proj"
    project.mkdir()
    wanted = inputs(row)
    build(project, wanted.get("fs", {}))
    name = wanted["result_file"]
    shown = a_result("", directory=project, files=(FileChange(name, "created", 20_000),))
    html = card.html(shown)
    assert "PRIVATE" not in html
    if row["expected"] == "allow":
        with open_result(project, name) as file:
            assert file.read() == (project / name).read_bytes()
        assert 'src="data:image/png;base64,' in html
        return
    with pytest.raises(FileRefusedError) as caught:
        open_result(project, name)
    assert re.fullmatch("result-file-(outside|link|type|missing|size)", caught.value.code)
    assert "<img" not in html
