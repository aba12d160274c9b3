"""A file of a run in a person's hands: as a path, as an argument of another run, in a notebook."""

from __future__ import annotations

import copy
import dataclasses
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE
from test_card import check, png
from test_files import a_host, a_spec

from skill_magic.api import _word
from skill_magic.command.words import interpolate
from skill_magic.files import FileChange, FileRefusedError, Watch
from skill_magic.stdin import source
from skill_magic.views import preview

PNG = png()


def made(directory: Path, name: str, data: bytes = b"content") -> FileChange:
    """A file as a run tells of it."""
    watch = Watch(a_spec(directory), a_host(directory))
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)
    [change] = watch.changes()[0]
    return change


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is not the notebook's."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


class TestPath:
    @pytest.mark.parametrize("name", ["a.txt", "d/naïve ☃.txt", "-x", "~", "a\nb", os.fsdecode(b"\xff")])
    def test_it_is_one_wherever_python_takes_one(self, project: Path, name: str) -> None:
        change = made(project, name)
        assert Path(change) == project / name
        assert Path(change).read_bytes() == b"content"
        with open(change, "rb") as file:
            assert file.read() == b"content"
        assert os.path.getsize(change) == change.size == 7
        assert str(change) == change.path == name

    @pytest.mark.parametrize("way", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy])
    def test_it_travels(self, project: Path, way: Any) -> None:
        change = made(project, "a.txt")
        assert way(change) == change
        assert Path(way(change)) == project / "a.txt"

    def test_two_directories_have_two_files(self, tmp_path: Path, project: Path) -> None:
        assert made(project, "a.txt") != made(tmp_path / "elsewhere", "a.txt")

    @pytest.mark.parametrize("kind", ["link", "folder on the way", "pipe"])
    def test_what_a_later_run_put_in_its_place_is_not_opened(self, project: Path, kind: str) -> None:
        change = made(project, "d/a.txt")
        secret = project.parent / "secret"
        secret.mkdir()
        (secret / "a.txt").write_text("key")
        (project / "d" / "a.txt").unlink()
        if kind == "link":
            (project / "d" / "a.txt").symlink_to(secret / "a.txt")
        elif kind == "pipe":
            os.mkfifo(project / "d" / "a.txt")
        else:
            (project / "d").rmdir()
            (project / "d").symlink_to(secret)
        with pytest.raises(FileRefusedError) as caught:
            open(change).close()
        assert caught.value.code == ("result-file-type" if kind == "pipe" else "result-file-link")
        assert "key" not in str(change._repr_mimebundle_())

    def test_one_that_is_gone_is_a_path_still(self, project: Path) -> None:
        change = made(project, "a.txt")
        Path(change).unlink()
        with pytest.raises(FileNotFoundError):
            open(change).close()
        assert "a.txt" in change._repr_mimebundle_()["text/html"]

    def test_a_path_that_leads_out_is_none(self, project: Path) -> None:
        with pytest.raises(FileRefusedError):
            os.fspath(FileChange("../elsewhere/x", "created", 1, project))


class TestArgument:
    """No tool sees the host's path: the next run is told the one that it sees."""

    def test_of_run(self, project: Path) -> None:
        assert _word(0, made(project, "d/a.txt")) == "d/a.txt"
        assert _word(0, Path("d/a.txt")) == "d/a.txt"

    def test_of_the_magic(self, project: Path) -> None:
        change = made(project, "-a.txt")
        assert interpolate(["{f}", "{fs}", "x={f}"], {"f": change, "fs": [change, Path("b")]}) == [
            *("./-a.txt", "./-a.txt", "b"),
            "x=./-a.txt",
        ]

    def test_as_an_input_it_is_the_file(self, project: Path) -> None:
        given = source(made(project, "a.txt"))
        assert given is not None
        assert not isinstance(given, bytes)
        assert given.read(100) == b"content"


class TestPreview:
    def html(self, change: FileChange) -> str:
        bundle = change._repr_mimebundle_()
        assert set(bundle) == {"text/plain", "text/html"}
        assert bundle["text/plain"] == repr(change)
        html: str = bundle["text/html"]
        check(html)  # all that an untrusted notebook may have, and no more
        return html

    def test_a_picture(self, project: Path) -> None:
        assert '<img src="data:image/png;base64,' in self.html(made(project, "a.png", PNG))

    def test_a_picture_by_its_content_and_not_by_its_name(self, project: Path) -> None:
        assert "<img" not in self.html(made(project, "a.png", b"<svg onload=alert(1)>"))

    @pytest.mark.parametrize(
        ("name", "data", "tag"),
        [
            ("a.webm", b"\x1aE\xdf\xa3\x01webm" + b"\0" * 60, "video"),
            ("a.wav", b"RIFF\0\0\0\0WAVE" + b"\0" * 60, "audio"),
        ],
    )
    def test_players(self, project: Path, name: str, data: bytes, tag: str) -> None:
        assert f'<{tag} controls preload="metadata" src="data:' in self.html(made(project, name, data))

    def test_a_large_one_is_named_by_its_address(self, project: Path) -> None:
        html = self.html(made(project, "a b.wav", b"RIFF\0\0\0\0WAVE" + b"\0" * preview.EMBEDDED))
        assert '<audio controls preload="metadata" src="./a%20b.wav">' in html
        assert len(html) < 2000

    @pytest.mark.parametrize("name", ["a.csv", "a.svg", "a.html", "a.md", "noname"])
    def test_the_first_lines_of_a_text(self, project: Path, name: str) -> None:
        text = "".join(f"line {number} <script>alert(1)</script> *x* `y` $z$\n" for number in range(1000))
        html = self.html(made(project, name, text.encode()))
        assert "line 0 &lt;script&gt;" in html
        assert "line 19 " in html
        assert "line 20 " not in html
        assert [tag for tag, _ in check(html).tags] == ["div", "pre", "div", "span", "a", "span"]

    @pytest.mark.parametrize(("count", "cut"), [(2, False), (20, False), (21, True), (5000, True)])
    def test_a_text_that_is_cut_says_so(self, project: Path, count: int, cut: bool) -> None:
        assert ("…" in self.html(made(project, "a.csv", b"a,b\n" * count))) == cut

    @pytest.mark.parametrize("kind", HOSTILE)
    def test_hostile_text_is_bounded_and_harmless(self, project: Path, kind: str) -> None:
        html = self.html(made(project, "a.txt", HOSTILE[kind](200_000)))
        assert len(html) < 120_000
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(html)
        reader = check(html)
        assert {tag for tag, _ in reader.tags} <= {"div", "pre", "span", "a"}
        assert [attributes["href"] for _, attributes in reader.tags if "href" in attributes] == ["./a.txt"]

    @pytest.mark.parametrize("data", [b"", b"\0\1\2" * 100, b"%PDF-1.7\n" + bytes(range(128, 256)) * 20])
    def test_nothing_is_shown_of_what_is_no_text(self, project: Path, data: bytes) -> None:
        html = self.html(made(project, "a.bin", data))
        assert "<pre" not in html
        assert "a.bin" in html

    def test_a_hostile_name(self, project: Path) -> None:
        name = "<img src=x onerror=alert(1)>\u202e\n.png"
        html = self.html(made(project, name, PNG))
        assert [tag for tag, _ in check(html).tags].count("img") == 1
        assert "\u202e" not in html

    def test_one_without_a_directory_is_named_alone(self) -> None:
        change = FileChange("a.png", "created", 3)
        assert change._repr_mimebundle_() == {"text/plain": repr(change)}

    def test_a_shell_shows_it(self, project: Path) -> None:
        from IPython.core.formatters import DisplayFormatter

        data, _ = DisplayFormatter().format(made(project, "a.png", PNG))
        assert data["text/html"].startswith("<div")
        assert data["text/plain"] == f"FileChange(path='a.png', kind='created', size={len(PNG)})"


def test_pillow_opens_it(project: Path) -> None:
    from PIL import Image as image  # noqa: N813

    buffer = io.BytesIO()
    image.new("RGB", (3, 2)).save(buffer, "PNG")
    assert image.open(made(project, "a.png", buffer.getvalue())).size == (3, 2)


def test_an_older_one_has_no_directory(tmp_path: Path) -> None:
    """As a result has it that was saved before there was one."""
    change = FileChange.__new__(FileChange)
    change.__dict__.update(path="a", kind="created", size=1)
    assert dataclasses.replace(change, size=2) == FileChange("a", "created", 2)
