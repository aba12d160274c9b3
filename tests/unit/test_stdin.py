"""What may be a tool's standard input, and when a shell's caller lends its own."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skill_magic.engine.stream import pieces
from skill_magic.stdin import CallerInput, SourceError, source, takes_stdin, waiting


def whole(value: object) -> bytes:
    made = source(value)
    assert made is not None
    return b"".join(bytes(piece) for piece in pieces(made))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_bytes("grün\n".encode())
    return path


class TestSource:
    def test_nothing(self) -> None:
        assert source(None) is None

    @pytest.mark.parametrize(
        "value",
        ["grün\n", "grün\n".encode(), bytearray("grün\n".encode()), memoryview("grün\n".encode())],
        ids=lambda value: type(value).__name__,
    )
    def test_text_and_bytes(self, value: object) -> None:
        assert whole(value) == "grün\n".encode()

    def test_what_changes_later_is_sent_as_it_was(self) -> None:
        data = bytearray(b"before")
        made = source(data)
        data[:] = b"after!"
        assert made == b"before"

    def test_files(self, file: Path) -> None:
        expected = file.read_bytes()
        assert whole(file) == expected
        with (
            file.open("rb") as binary,
            file.open("rb", buffering=0) as raw,
            file.open(encoding="utf-8") as text,
        ):
            assert whole(binary) == whole(raw) == whole(text) == expected
        assert whole(io.StringIO("grün\n")) == whole(io.BytesIO(expected)) == expected
        with codecs.open(str(file), encoding="utf-8") as reader:
            assert whole(reader) == expected

    def test_a_pipe(self) -> None:
        with subprocess.Popen(["printf", "a\\nb"], stdout=subprocess.PIPE) as process:
            assert whole(process.stdout) == b"a\nb"

    def test_a_compressed_file(self, tmp_path: Path) -> None:
        path = tmp_path / "data.gz"
        path.write_bytes(gzip.compress(os.urandom(200_000)))
        with gzip.open(path) as packed:
            assert len(whole(packed)) == 200_000

    @pytest.mark.parametrize(
        "value",
        [subprocess.DEVNULL, 0, 1.5, True, ["a", "b"], iter(["a"]), {"a": 1}, object(), print],
        ids=lambda value: type(value).__name__,
    )
    def test_anything_else_is_a_type_error(self, value: object) -> None:
        with pytest.raises(TypeError, match=r"^stdin is an? "):
            source(value)

    def test_a_frame_is_told_how(self) -> None:
        class Frame:
            def to_csv(self) -> str:
                return ""

        with pytest.raises(TypeError, match="to_csv"):
            source(Frame())

    def test_paths_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            source(tmp_path / "missing")
        with pytest.raises((IsADirectoryError, ValueError)):
            source(tmp_path)
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match="no regular file"):
            source(tmp_path / "pipe")

    def test_a_text_that_names_a_file_is_a_text(self, file: Path) -> None:
        assert whole(str(file)) == str(file).encode()

    def test_files_that_cannot_be_read(self, file: Path) -> None:
        closed = file.open("rb")
        closed.close()
        with pytest.raises(ValueError, match="closed"):
            source(closed)
        with file.open("ab") as writing, pytest.raises(ValueError, match="not open for reading"):
            source(writing)


class TestBreakingOff:
    def test_a_truncated_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "data.gz"
        path.write_bytes(gzip.compress(os.urandom(200_000))[:100_000])
        with gzip.open(path) as packed, pytest.raises(SourceError, match="EOFError"):
            whole(packed)

    @pytest.mark.parametrize("answer", [None, 5, ["x"]], ids=repr)
    def test_a_read_that_gives_no_bytes(self, answer: Any) -> None:
        class Odd:
            def read(self, size: int) -> Any:
                return answer

        with pytest.raises(SourceError, match=r"read\(\) returned"):
            whole(Odd())

    def test_text_that_is_not_unicode(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.txt"
        path.write_bytes(b"\xe4" * 10)
        with path.open(encoding="utf-8") as text, pytest.raises(SourceError, match="UnicodeDecodeError"):
            whole(text)

    def test_a_file_that_is_gone_when_it_is_read(self, file: Path) -> None:
        made = source(file)
        file.unlink()
        with pytest.raises(SourceError, match="No such file"):
            b"".join(pieces(made))  # type: ignore[arg-type]


class TestRule:
    @pytest.mark.parametrize(
        ("args", "expected"),
        [
            ((), True),
            (("-",), True),
            (("-i", "-", "out.png"), True),
            (("-i", "pipe:0", "out.webm"), True),
            (("/dev/stdin",), True),
            (("-i", "in.mp4", "out.webm"), False),
            (("-c", "print(1)"), False),
            (("",), False),
            (("--",), False),
        ],
    )
    def test_who_gets_the_callers_input(self, args: tuple[str, ...], expected: bool) -> None:
        assert takes_stdin(args) is expected


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


class TestWaiting:
    def test_a_pipe(self, pipe: tuple[int, int]) -> None:
        reader, writer = pipe
        assert not waiting(reader)
        os.write(writer, b"x")
        assert waiting(reader)
        assert os.read(reader, 1) == b"x"
        assert not waiting(reader)

    def test_a_file(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDONLY)
        assert waiting(descriptor)
        os.lseek(descriptor, 0, os.SEEK_END)
        assert not waiting(descriptor)
        os.close(descriptor)
        assert not waiting(descriptor)  # closed by the caller: nothing there, and no error

    def test_a_socket(self) -> None:
        left, right = socket.socketpair()
        with left, right:
            assert not waiting(left.fileno())
            right.send(b"x")
            assert waiting(left.fileno())

    def test_no_input_at_all(self) -> None:
        with open(os.devnull, "rb") as null:
            assert not waiting(null.fileno())


def test_the_callers_input_counts(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    lent = CallerInput(reader)
    os.write(writer, b"abc")
    assert (lent.read(10), lent.taken, lent.at_end) == (b"abc", 3, False)


@pytest.mark.parametrize(
    ("program", "args", "expected"),
    [
        ("psql", ("-h", "db", "-U", "postgres"), True),
        ("/usr/bin/psql", ("--csv",), True),
        ("psql", ("-h", "db", "-c", "select 1"), False),
        ("psql", ("-Atc", "select 1"), False),
        ("psql", ("--command=select 1",), False),
        ("psql", ("-f", "a.sql"), False),
        ("psql", ("--version",), False),
        ("redis-cli", ("-h", "db", "-n", "2"), True),
        ("redis-cli", ("-h", "db", "GET", "a"), False),
        ("redis-cli", ("-h", "db", "--scan"), False),
        ("redis-cli", ("-x", "SET", "a"), True),
        ("redis-cli", ("--pipe",), True),
        ("python3", ("-h", "db"), False),
        ("", ("-h", "db"), False),
    ],
)
def test_a_client_of_a_database_without_a_command_reads_them(
    program: str, args: tuple[str, ...], expected: bool
) -> None:
    assert takes_stdin(args, program) is expected
