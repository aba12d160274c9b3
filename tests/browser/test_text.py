"""What strangers wrote (names, descriptions, arguments, output) stays text in a browser: no formula, no element, no
request; live, saved and opened again, trusted or not, and in what nbconvert makes of the notebook."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from .lab import Lab, Notebook
from .runs import LOAD, Open, started

pytestmark = [pytest.mark.browser, pytest.mark.engine]

FORMULAS = (
    r"$\style{color:red}{f1}$ \(f2\) \[f3\] $$f4$$ a$\rule{900px}{900px}$ \begin{equation}f5\end{equation}"
)
MARKUP = (
    "<img src=http://evil.test/a.png> ![x](http://evil.test/b.png) [y](http://evil.test/) <b>bold</b> ```"
)
EVIL = f"{FORMULAS} {MARKUP}"
AFTER_A_BLANK_LINE = "\n\n![z](http://evil.test/c.png)\n\n$$f6$$\n"
NAME = r"a$\rule{900px}{900px}$ ![x](http:evil.test) <b>.txt"
CONTROL = "from IPython.display import HTML; HTML('<p>control: $x^2$</p>')"

MANIFEST = f"""
[skills.told]
description = {json.dumps(EVIL + AFTER_A_BLANK_LINE)}
[skills.told.docker]
image = "python:3.12-slim"
entrypoint = "python3"
command = [{json.dumps("c " + EVIL + AFTER_A_BLANK_LINE)}]
[skills.bad.docker]
image = {json.dumps(EVIL)}
{json.dumps(EVIL)} = 1
"""
SCRIPT = f"""import sys, time
print({EVIL!r}, flush=True)
print({EVIL!r}, file=sys.stderr, flush=True)
open({NAME!r}, 'w').write('x')
time.sleep(2)
"""
VERBS = ["list", "info told", "check", "explain told", "bad", "explain bad"]
MEDIA = [
    "javascript:alert(1).png",
    "a?b#c.png",
    "%2e%2e%2fx.png",
    "http:evil.test.png",
    "a b&c;\"d'.png",
    "é $x$ \\(y\\).png",
]


def png(size: int) -> bytes:
    """A picture of one pixel, and of ``size`` bytes at least."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"teXt", b"x\0" + b"y" * size) + body + chunk(b"IEND", b"")


def untouched(page: Notebook, control: int, ours: list[int], *, said: str = "f1") -> None:
    """MathJax has been over the page, and not over what is ours."""
    expect(page.output(control).locator("mjx-container")).to_have_count(1, timeout=20_000)
    for cell in ours:
        output = page.output(cell)
        output.scroll_into_view_if_needed()  # what is out of sight may not have been drawn
        expect(output).to_contain_text("evil.test")
        page.page.wait_for_timeout(200)
        assert output.locator("mjx-container").count() == 0, cell
        assert output.locator("img[src*=evil]").count() == 0, cell
        # In plain text JupyterLab makes links of addresses itself, whoever wrote them.
        html = output.locator(".jp-RenderedHTMLCommon")
        assert html.locator("b, a[href*='//evil']").count() == 0, cell
        expect(output).to_contain_text(said, use_inner_text=True)
    assert page.faults == []


@pytest.fixture
def evil(project: Path) -> Path:
    (project / "skills.toml").write_text(MANIFEST)
    return project


class TestFormulas:
    def test_a_panel_and_its_card(self, notebook: Open, reader: Callable[..., Notebook], evil: Path) -> None:
        cell = f"%%skill python-runner --raw -- - '{EVIL}'\n{SCRIPT}"
        page = started(notebook, CONTROL, cell)
        expect(page.panel(2).get_by_role("log")).to_contain_text("f1", timeout=20_000)
        expect(page.output(1).locator("mjx-container")).to_have_count(1, timeout=20_000)
        assert page.panel(2).locator("mjx-container, b, img").count() == 0
        page.wait(2)
        expect(page.output(2)).to_contain_text("rule{900px}", timeout=20_000)
        expect(page.output(2).get_by_role("link")).to_have_text(NAME)
        untouched(page, 1, [2])
        page.save()
        for trusted in (True, False):
            again = reader(page.path, trusted=trusted)
            untouched(again, 1, [2])
            expect(again.output(2).get_by_role("link")).to_have_text(NAME)

    def test_answers_and_errors(self, notebook: Open, reader: Callable[..., Notebook], evil: Path) -> None:
        page = notebook(LOAD, CONTROL, *(f"%skill {words}" for words in VERBS))
        for cell in range(2 + len(VERBS)):
            page.run(cell)
        ours = list(range(2, 2 + len(VERBS)))
        untouched(page, 1, ours)
        page.save()
        for trusted in (True, False):
            untouched(reader(page.path, trusted=trusted), 1, ours)

    def test_in_notebook_7(self, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> None:
        server = Lab(tmp_path_factory.mktemp("notebook"), lab.browser, app="notebook")
        try:
            path = server.write("n/n.ipynb", LOAD, CONTROL, *(f"%skill {words}" for words in VERBS))
            (path.parent / "skills.toml").write_text(MANIFEST)
            page = server.open(path)
            page.faults.clear()  # it has some of its own while it loads
            for cell in range(2 + len(VERBS)):
                page.run(cell)
            untouched(page, 1, list(range(2, 2 + len(VERBS))))
            page.close()
        finally:
            server.close()


def test_pictures_are_the_files_beside_the_notebook(
    lab: Lab, notebook: Open, reader: Callable[..., Notebook], project: Path
) -> None:
    """Too large for the card, so that their addresses count; and one that would be another file's, were the address
    read once too often."""
    (project.parent / "x.png").write_bytes(b"not this one")
    script = "import sys\nfor n in sys.argv[1:]: open(n, 'wb').write(open('of.png', 'rb').read())\n"
    (project / "of.png").write_bytes(png(300_000))
    page = notebook(LOAD, f"%%skill python-runner --raw -- - {' '.join(map(quoted, MEDIA))}\n{script}")
    got: list[tuple[str, int]] = []
    page.page.on("response", lambda answer: got.append((answer.url, answer.status)))
    page.run(0)
    page.run(1)
    pictures(page, project, got)
    page.save()
    for trusted in (True, False):
        again = reader(page.path, trusted=trusted)
        pictures(again, project, None)


def quoted(name: str) -> str:
    return re.sub(r"([\s'\"\\#])", r"\\\1", name)


def pictures(page: Notebook, project: Path, got: list[tuple[str, int]] | None) -> None:
    shown = page.output(1).locator("img[alt$='.png']")
    expect(shown).to_have_count(len(MEDIA), timeout=20_000)
    for number in range(len(MEDIA)):
        # A browser fetches it and finds the picture.
        page.page.wait_for_function(
            "image => image.complete && image.naturalWidth === 1", arg=shown.nth(number).element_handle()
        )
    assert sorted(shown.evaluate_all("all => all.map(each => each.alt)")) == sorted(MEDIA)
    if got is not None:
        prefix = f"/files/{project.name}/"
        asked = [(urlsplit(url), status) for url, status in got if "/files/" in url]
        assert {unquote(each.path).removeprefix(prefix) for each, _ in asked} == set(MEDIA)
        assert all(each.path.startswith(prefix) and status == 200 for each, status in asked)
    assert page.faults == []


class TestConverted:
    @pytest.fixture
    def executed(self, evil: Path) -> Path:
        """A notebook as nbclient leaves it: with a card, answers, and an error."""
        cells = [
            LOAD,
            *(f"%skill {words}" for words in VERBS),
            f"%%skill python-runner --raw -- - '{EVIL}'\n{SCRIPT}",
        ]
        content: Any = {
            "cells": [
                {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": each, "outputs": []}
                | {"execution_count": None}
                for n, each in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = evil / "executed.ipynb"
        path.write_text(json.dumps(content))
        convert(path, "notebook", "--execute", "--allow-errors", "--inplace")
        return path

    def test_html_in_a_browser(self, lab: Lab, executed: Path) -> None:
        convert(executed, "html")
        page = opened(lab.browser, executed.with_suffix(".html"))
        text = page.locator("body").inner_text()
        assert text.count("![x](http://evil.test/b.png)") > 10
        assert page.locator(".jp-OutputArea-output b, img[src*=evil], a[href*='//evil']").count() == 0
        page.context.close()

    def test_markdown_in_a_browser(self, lab: Lab, executed: Path) -> None:
        """As the reader of Markdown that nbconvert itself brings along makes a page of it."""
        import mistune

        convert(executed, "markdown")
        text = executed.with_suffix(".md").read_text()
        made = mistune.create_markdown(escape=False, plugins=["table", "url", "math", "strikethrough"])(text)
        page = executed.with_name("markdown.html")
        page.write_text(f"<meta charset=utf-8><body>{made}")
        shown = opened(lab.browser, page)
        assert shown.locator("img[src*=evil], b, .math").count() == 0
        # The cells' own source is the person's; what is ours begins behind it.
        assert shown.locator("div.mathjax_ignore a[href*='//evil']").count() == 0
        assert shown.locator("div.mathjax_ignore").count() >= len(VERBS) - 1
        shown.context.close()


def convert(path: Path, form: str, *more: str) -> None:
    line = [sys.executable, "-m", "nbconvert", "--to", form, *more, path.name]
    subprocess.run(line, cwd=path.parent, check=True, capture_output=True, timeout=180)


def opened(browser: Browser, file: Path) -> Page:
    """A file in the browser, cut off from the network; it asks it for nothing of a stranger's."""
    page = browser.new_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("http*://**", lambda route: route.abort())
    page.goto(file.as_uri())
    page.wait_for_timeout(500)
    assert not [url for url in asked if "evil" in url]
    return page
