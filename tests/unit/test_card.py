"""The static card: what it says, that nothing in it is markup, that it stays small and reads on any page."""

from __future__ import annotations

import base64
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skill_magic.events import State, Usage
from skill_magic.files import FileChange
from skill_magic.media import recognise
from skill_magic.output import OutputLog, saved
from skill_magic.result import RunResult
from skill_magic.views import card, chart
from skill_magic.views.colour import ansi_to_html, luminance, palette, readable

MIB = 1024 * 1024
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[2J\u202e'

# What JupyterLab's sanitiser keeps in a notebook that is not trusted, as far as the card uses it.
TAGS = {"div", "span", "pre", "details", "summary", "img", "video", "audio", "a"}
ATTRIBUTES = {"class", "style", "open", "src", "alt", "title", "href", "controls", "preload"}
PROPERTIES = {
    *("align-items", "background", "background-color", "border", "border-left", "border-radius", "color"),
    *("display", "flex-wrap", "font-family", "font-size", "font-style", "font-weight", "gap", "height"),
    *("line-height", "margin", "max-height", "max-width", "min-width", "opacity", "overflow"),
    *("overflow-wrap", "padding", "padding-left", "text-decoration", "white-space", "width"),
}  # fmt: skip


class Reader(HTMLParser):
    """Collects what a card is made of and checks that its elements nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def sources(self) -> list[str]:
        return [str(attributes["src"]) for _, attributes in self.tags if "src" in attributes]


def a_result(**changes: Any) -> RunResult:
    facts: dict[str, Any] = {
        "skill": "tool",
        "args": ("-x", "a b"),
        "image": "debian:12",
        "state": "finished",
    }
    facts |= {"exit_code": 0, "duration": 3.2, "started": 0.0, "digest": "debian@sha256:22"}
    return RunResult(**(facts | changes))


def samples(count: int) -> tuple[Usage, ...]:
    return tuple(
        Usage(
            at / 10, at * 0.2, 150.0 + at % 7 if at else None, 2, (50 + at % 90) * MIB, 140 * MIB, 512 * MIB
        )
        for at in range(count)
    )


def with_files(directory: Path, **contents: bytes) -> RunResult:
    changes = []
    for name, data in contents.items():
        path = directory / name.replace("_", ".")
        path.write_bytes(data)
        changes.append(FileChange(path.name, "created", len(data)))
    return a_result(directory=directory, files=tuple(changes))


def png(width: int = 2, height: int = 2, size: int = 0) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"teXt", b"x" * size) + chunk(b"IEND", b"")


def check(html: str) -> Reader:
    """Every element, attribute and property of a card is one that an untrusted notebook may have."""
    reader = Reader(html)
    for number, (tag, attributes) in enumerate(reader.tags):
        assert tag in TAGS
        # On the outermost element and nowhere else: a class inside could give MathJax its way again.
        assert attributes.get("class") == (None if number else "mathjax_ignore tex2jax_ignore")
        assert set(attributes) <= ATTRIBUTES
        for declaration in (attributes.get("style") or "").split(";"):
            name, _, value = declaration.partition(":")
            if declaration:
                assert name in PROPERTIES
                assert re.fullmatch(r"[#%(),. a-zA-Z0-9-]+", value), declaration
                assert "var(" not in value
                assert value not in ("anywhere", "inherit")
    return reader


def everything(**changes: Any) -> RunResult:
    facts: dict[str, Any] = {
        "output": saved(b"out\x1b[31mred\x1b[0m\n", b"err\n"),
        "cpu_seconds": 4.5,
        "peak_memory": 120 * MIB,
        "memory_limit": 512 * MIB,
        "network": "bridge",
        "network_in": 1000,
        "network_out": 2000,
        "block_in": 3000,
        "block_out": 4000,
        "samples": samples(50),
        "notes": ("cpus lowered from 4 to 2",),
        "command_line": "docker run --rm debian:12 -x 'a b'",
        "files": (FileChange("a/b.txt", "changed", 12),),
    }
    return a_result(**(facts | changes))


def test_it_says_everything() -> None:
    reader = check(card.html(everything()))
    for said in (
        *("tool", "finished", "tool -x 'a b'", "debian:12 · sha256:22 · network bridge", "3.2 s", "4.5 s"),
        *("120 MiB of 512 MiB", "↓ 1000 B ↑ 1.95 KiB", "2.93 KiB read, 3.91 KiB written", "outred", "err"),
        *(
            "standard error",
            "changed",
            "a/b.txt",
            "12 B",
            "cpus lowered from 4 to 2",
            "docker run --rm debian:12",
        ),
    ):
        assert said in reader.text
    assert reader.sources()[0].startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize(
    "state", ["finished", "failed", "stopped", "timeout", "out-of-memory", "killed", "lost"]
)
def test_each_state_has_a_card(state: State) -> None:
    result = a_result(
        state=state, exit_code=1, timeout=60.0, memory_limit=512 * MIB, lines={"memory": "f.toml:3"}
    )
    reader = check(card.html(result))
    wanted = {
        "failed": "failed: exit code 1",
        "stopped": "stopped by you",
        "timeout": "timed out after 60 s",
        "out-of-memory": "killed: out of memory at 512 MiB, raise `memory` in f.toml:3",
    }.get(state, state)
    assert wanted in reader.text
    assert wanted in card.text(result)


def test_nothing_of_anybodys_becomes_markup(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(png())
    result = everything(
        skill=EVIL,
        args=(EVIL,),
        image=EVIL,
        digest=EVIL,
        network=EVIL,
        output=saved(EVIL.encode(), EVIL.encode()),
        notes=(EVIL,),
        command_line=EVIL,
        state="out-of-memory",
        error_text=EVIL,
        lines={EVIL: EVIL},
        directory=tmp_path,
        files=(FileChange(EVIL, "created", 1), FileChange("x", "created", 1)),
    )
    html = card.html(result)
    reader = check(html)
    assert not {tag for tag, _ in reader.tags} & {"script", "iframe", "svg"}
    assert reader.text.count("<script>alert(1)</script>") >= 9
    for shown in (html, card.text(result), str(card.notice(EVIL, EVIL))):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_addresses_have_no_scheme_and_no_host(tmp_path: Path) -> None:
    names = ["javascript:alert(1)", "//evil.com", "a b&c?d#e.png", "\udcff.txt", "data:text"]
    result = a_result(directory=tmp_path, files=tuple(FileChange(name, "created", 1) for name in names))
    links = [str(attributes["href"]) for tag, attributes in check(card.html(result)).tags if tag == "a"]
    assert links[0] == "./javascript%3Aalert%281%29"
    assert all(re.fullmatch(r"\./[A-Za-z0-9%._/~-]+", link) for link in links)


def test_output_less_card() -> None:
    html = card.html(everything(), output=False)
    assert "outred" not in Reader(html).text
    assert "outred" not in card.text(everything(), output=False)


def test_no_output_is_said() -> None:
    assert "no output" in Reader(card.html(a_result())).text


def test_streams_are_told_apart_and_progress_is_collapsed() -> None:
    log = OutputLog(None)
    log.write("stdout", b"one ")
    log.write("stderr", b" 10%\r 50%\r100%\n")
    log.write("stdout", b"line\n")
    reader = Reader(card.html(a_result(output=log.close())))
    assert "100%" in reader.text
    assert "10%" not in reader.text.replace("100%", "")
    assert "one line" in reader.text
    pres = [attributes["style"] or "" for tag, attributes in reader.tags if tag == "pre"]
    assert ["border-left" in style for style in pres] == [True, False]


def test_no_blank_line_ends_the_html_within_markdown() -> None:
    """In Markdown a blank line ends a block of HTML, and what stands after it is Markdown."""
    log = OutputLog(None)
    log.write("stdout", b"a\n\n \n![x](http://tracker.test/x.png)\n\n# heading\n")
    html = card.html(a_result(output=log.close(), command_line="docker run x -c 'one\n\ntwo'"))
    assert "\n" not in html
    assert "![x](http://tracker.test/x.png)" in Reader(html).text


def test_long_output_shows_both_ends_and_names_its_log(tmp_path: Path) -> None:
    log = OutputLog(tmp_path)
    for number in range(300_000):
        log.write("stdout", b"line %d\n" % number)
    result = a_result(output=log.close())
    for shown in (Reader(card.html(result)).text, card.text(result)):
        assert "line 0\n" in shown
        assert "line 299999" in shown
        assert re.search(r"29\d \d{3} lines omitted, all of it is in ", shown)
        assert str(result.log) in shown


@pytest.mark.parametrize(
    "output",
    [b"<&>\"'" * 50_000, b"\x1b[31mx\x1b[32my" * 50_000, b"\x1b[1;3;4;31;42mx\n" * 50_000, b"\n" * 300_000],
)
def test_a_card_stays_small(tmp_path: Path, output: bytes) -> None:
    files = {f"p{number}_png": png(size=120_000 + number) for number in range(8)}
    result = with_files(tmp_path, **files)
    full = everything(
        output=saved(output, output), samples=samples(600), directory=tmp_path, files=result.files
    )
    bundle = card.bundle(full)
    check(bundle["text/html"])
    assert len(bundle["text/html"]) < 650_000
    assert len(bundle["text/plain"]) < 40_000


def test_a_long_command_is_cut() -> None:
    html = card.html(a_result(args=("x" * 100_000,), command_line="docker run " + "y" * 100_000))
    assert len(html) < 12_000
    assert "more characters" in html


def test_a_run_too_short_to_sample_has_no_figures_of_its_usage() -> None:
    for text in (Reader(card.html(a_result())).text, card.text(a_result())):
        assert "run time" in text
        assert not [word for word in ("usage", "CPU time", "peak memory") if word in text]


def test_small_pictures_are_in_the_card_and_large_ones_beside_it(tmp_path: Path) -> None:
    result = with_files(tmp_path, a_png=png(), b_png=png(size=300_000), c_png=png(size=1000))
    reader = check(card.html(result))
    kinds = [source.split(",")[0] for source in reader.sources()]
    assert kinds == ["data:image/png;base64", "./b.png", "data:image/png;base64"]
    assert base64.b64decode(reader.sources()[0].split(",")[1]) == png()
    assert "2 × 2" in reader.text


def test_what_is_shown_is_decided_by_content_not_by_name(tmp_path: Path) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
    result = with_files(
        tmp_path, a_svg=svg, b_png=b"<script>alert(1)</script>", c_html=b"<html>", d_txt=png()
    )
    sources = check(card.html(result)).sources()
    assert [source[:15] for source in sources] == ["data:image/png;"]


def test_a_picture_that_would_fill_the_memory_is_only_listed(tmp_path: Path) -> None:
    reader = check(card.html(with_files(tmp_path, a_png=png(60_000, 60_000))))
    assert reader.sources() == []
    assert "a.png" in reader.text


def test_sound_and_video_get_players(tmp_path: Path) -> None:
    result = with_files(
        tmp_path,
        a_mp4=b"\0\0\0\x18ftypisom" + b"\0" * 300_000,
        b_webm=b"\x1aE\xdf\xa3" + b"\0" * 20 + b"webm" + b"\0" * 100,
        c_wav=b"RIFF\0\0\0\0WAVEfmt ",
    )
    reader = check(card.html(result))
    players = [
        (tag, str(attributes["src"])[:16]) for tag, attributes in reader.tags if tag in ("video", "audio")
    ]
    assert players == [("video", "./a.mp4"), ("video", "data:video/webm;"), ("audio", "data:audio/wav;b")]


def test_many_files_are_cut(tmp_path: Path) -> None:
    result = with_files(tmp_path, **{f"f{number}_txt": b"x" for number in range(50)})
    assert "and 30 more" in Reader(card.html(result)).text


def test_a_file_that_became_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(png())
    result = with_files(tmp_path, a_png=png())
    (tmp_path / "a.png").unlink()
    (tmp_path / "a.png").symlink_to("secret")
    assert check(card.html(result)).sources() == []


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (png(3, 4), ("picture", "image/png", 3, 4)),
        (b"GIF89a\x03\0\x04\0", ("picture", "image/gif", 3, 4)),
        (b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x04\0\x03", ("picture", "image/jpeg", 3, 4)),
        (b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 8 + b"\x02\0\0\x03\0\0", ("picture", "image/webp", 3, 4)),
        (b"RIFF\0\0\0\0WEBPVP8L" + b"\0" * 4 + b"\x2f\x02\xc0\0\0", ("picture", "image/webp", 3, 4)),
        (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 10 + b"\x03\0\x04\0", ("picture", "image/webp", 3, 4)),
        (b"OggS" + b"\0" * 30 + b"theora", ("video", "video/ogg", 0, 0)),
        (b"OggS" + b"\0" * 30 + b"vorbis", ("audio", "audio/ogg", 0, 0)),
        (b"fLaC", ("audio", "audio/flac", 0, 0)),
        (b"ID3\x04", ("audio", "audio/mpeg", 0, 0)),
        (b"\0\0\0\x18ftypM4A ", ("audio", "audio/mp4", 0, 0)),
    ],
)
def test_files_are_recognised_by_their_first_bytes(head: bytes, wanted: tuple[str, str, int, int]) -> None:
    media = recognise(head)
    assert media is not None
    assert (media.kind, media.mime, media.width, media.height) == wanted


@settings(deadline=None)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8X", b"\xff\xd8\xff\xe0"]
    ),
    st.binary(max_size=80),
)
def test_broken_files_are_no_error(start: bytes, rest: bytes) -> None:
    recognise(start + rest)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#x27;"),
        ("\x1b[1mx\x1b[22my", '<span style="font-weight:bold">x</span>y'),
        ("\x1b[3;4mx\x1b[my", '<span style="font-style:italic;text-decoration:underline">x</span>y'),
        ("\x1b[41mx", '<span style="background-color:#cd0000;color:#ffffff">x</span>'),
        ("\x1b[42mx", '<span style="background-color:#00cd00;color:#000000">x</span>'),
        ("\x1b[30;47mx", '<span style="background-color:#e5e5e5;color:#000000">x</span>'),
        ("\x1b[48;5;196mx", '<span style="background-color:#ff0000;color:#000000">x</span>'),
        ("\x1b[48;2;1;2;3mx", '<span style="background-color:#010203;color:#ffffff">x</span>'),
        ("\x1b[48:2::1:2:3mx", '<span style="background-color:#010203;color:#ffffff">x</span>'),
        ("\x1b[7mx", '<span style="background-color:#606060;color:#f5f5f5">x</span>'),
        ("\x1b[31m\x1b[39mx", "x"),
        ("\x1b[38mx", "x"),
        ("\x1b[38;5mx", "x"),
        ("\x1b[38;2;999999999999;0;0;1mx\x1b[0m", None),
        ("\x1b[99999999999999mx", "x"),
        ("\x1b[4:0mx", "x"),
    ],
)
def test_colours_in_html(text: str, wanted: str | None) -> None:
    html = ansi_to_html(text)
    if wanted is not None:
        assert html == wanted
    assert "\x1b" not in html


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.from_regex(r"\x1b\[[0-9;:]{0,12}m", fullmatch=True), st.text(max_size=4)), max_size=12
    )
)
def test_any_colours_give_sound_html(parts: list[str]) -> None:
    text = "".join(
        part if re.fullmatch(r"\x1b\[[0-9;:]*m", part) else part.replace("\x1b", "") for part in parts
    )
    reader = Reader(ansi_to_html(text).replace("\r", "\n"))
    assert {tag for tag, _ in reader.tags} <= {"span"}
    assert reader.text == re.sub(r"\x1b\[[0-9;:]*m", "", text).replace("\r", "\n")


def test_text_colours_read_on_light_and_dark() -> None:
    for number in range(256):
        light = luminance(readable(palette(number)))
        assert 1.05 / (light + 0.05) > 4.1
        assert (light + 0.05) / (luminance((17, 17, 17)) + 0.05) > 3.8


def test_the_chart_is_sound_and_small() -> None:
    picture = chart.svg(samples(600), 512 * MIB)
    root = ET.fromstring(picture)
    assert root.tag.endswith("svg")
    assert "up to 78 % of 2 CPUs" in "".join(root.itertext())
    assert "up to 139 MiB of 512 MiB" in "".join(root.itertext())
    assert len(picture) < 20_000
    assert chart.svg(samples(2)) == ""


def test_thinning_keeps_the_peak() -> None:
    points = [(float(at), 1.0) for at in range(10_000)]
    points[4321] = (4321.0, 99.0)
    thinned = chart.thin(points)
    assert len(thinned) <= chart.POINTS
    assert (4321.0, 99.0) in thinned


def test_a_notice_is_one_line() -> None:
    bundle = card.notice("to\nol", "did <not> run")
    assert bundle["text/plain"] == "to\\nol: did <not> run"
    assert "did &lt;not&gt; run" in bundle["text/html"]


def test_a_picture_on_standard_output_is_shown_as_one() -> None:
    data = png(3, 4)
    result = a_result(output=saved(data, b"done\n"))
    reader = check(card.html(result))
    assert f"{len(data)} B of binary output" in reader.text
    assert "done" in reader.text
    assert "IHDR" not in reader.text
    assert "3 × 4" in reader.text
    assert any(source.startswith("data:image/png;base64,") for source in reader.sources())
    said = card.text(result)
    assert f"{len(data)} B of binary output" in said
    assert "IHDR" not in said


def test_long_binary_output_is_a_line_of_the_card() -> None:
    result = a_result(output=saved(bytes(range(256)) * 1000))
    assert "250 KiB of binary output" in card.text(result)
    assert len(card.html(result)) < 6000


def test_names_that_end_in_nul_bytes_are_text() -> None:
    assert "caf\u00e9" in card.text(a_result(output=saved("a\0caf\u00e9\0".encode())))
