"""Hooks of mkdocs.yml: what the pages take from the code, from other files and from the notebooks, and what is checked.

Directives of a page, each alone on its line:

- ``<!-- table NAME -->``: a table of ``_tables.py``.
- ``<!-- file PATH -->``: a Markdown file of the repository, without its title; ``<!-- file PATH without A, B -->``:
  without these sections.
- ``<!-- section PATH NAME -->``: one section of such a file.
"""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from _notebook import page as notebook_page
from _public import undocumented
from _tables import ROOT, site_tables
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import skill_magic

NOTEBOOKS = ROOT / "notebooks"
EXECUTED = ROOT / "build/docs/notebooks"
"""Where scripts/docs puts the executed ones, and the files of each in a folder of its name."""

_DIRECTIVE = re.compile(r"^<!-- (?P<kind>table|file|section) (?P<what>.+) -->$", flags=re.M)
_TABLE_ROW = re.compile(r"^\|.*\|$", flags=re.M)
_CODE_ROW = re.compile(r"^\| `([a-z0-9-]+)` \|", flags=re.M)
_FETCHED = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "manifest"}
_MARKUP_LEFT = re.compile(r":(?:param|raises|returns|class|func|meth|mod|data)\b[^<]{0,40}:")


def on_config(config: MkDocsConfig) -> None:
    """Strict builds count the warnings that are logged, so ``--quiet`` would let a broken link through."""
    if not logging.getLogger("mkdocs").isEnabledFor(logging.WARNING):
        raise PluginError("--quiet hides the warnings that a strict build counts; leave it out")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook, the executed one where there is one, with the files that its outputs show."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        executed = EXECUTED / path.name
        text = notebook_page(executed if executed.exists() else path)
        folder = f"tutorials/{path.stem}"
        files.append(File.generated(config, f"{folder}/index.md", content=text))
        for name in sorted(set(re.findall(r'(?:src|href)="\./([^"]+)"', text))):
            shown = EXECUTED / path.stem / name
            if not shown.is_file():
                raise PluginError(f"{path.name}: an output shows {name}, which is not in {shown.parent}")
            files.append(File.generated(config, f"{folder}/{name}", abs_src_path=str(shown)))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """Fill in the directives."""

    def fill(directive: re.Match[str]) -> str:
        try:
            return _filled(directive["kind"], directive["what"])
        except (KeyError, OSError) as error:
            raise PluginError(f"{page.file.src_uri}: {directive[0]}: there is no {error}") from error

    return _TABLE_ROW.sub(_without_escapes, _DIRECTIVE.sub(fill, markdown))


def _without_escapes(row: re.Match[str]) -> str:
    """A pipe in code of a table is escaped for GitHub; here code is taken as it stands."""
    return re.sub(r"`[^`\n]+`", lambda code: code[0].replace("\\|", "|"), row[0])


def on_page_content(html: str, page: Page, **kwargs: Any) -> None:
    """A page shows no markup of docstrings and loads nothing from elsewhere."""
    text = re.sub(r"<[^>]+>", "", html)
    if left := _MARKUP_LEFT.search(text):
        raise PluginError(f"{page.file.src_uri}: markup that was not read: {left[0]!r}")


def on_post_page(output: str, page: Page, **kwargs: Any) -> str:
    """Nothing is loaded from elsewhere."""
    finder = _Loaded()
    finder.feed(output)
    if finder.addresses:
        raise PluginError(f"{page.file.src_uri} loads {', '.join(finder.addresses)}")
    if page.file.src_uri == "reference/api.md":
        missing = [n for n in skill_magic.__all__ if f'id="skill_magic.{n}"' not in output]
        if missing := [*missing, *undocumented()]:
            raise PluginError(f"not documented: {', '.join(missing)}")
    return output


class _Loaded(HTMLParser):
    """Finds what a browser would fetch from another host when it shows the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        # Other links of the head (canonical, next) name pages; nothing is fetched for them.
        fetched = tag == "link" and {*(values.get("rel") or "").split()} & _FETCHED
        address = values.get("src") or (values.get("href") if fetched else None) or ""
        if re.match(r"(?:https?:)?//", address):
            self.addresses.append(address)


def _filled(kind: str, what: str) -> str:
    if kind == "table":
        return site_tables()[what]
    if kind == "section":
        path, name = what.split(" ", 1)
        return _with_anchors(sections(path)[name])
    path, _, without = what.partition(" without ")
    left_out = [name.strip() for name in without.split(",") if name]
    parts = sections(path)
    for name in left_out:
        del parts[name]
    return "\n".join(parts.values())


def sections(path: str) -> dict[str, str]:
    """The sections of a Markdown file with their headings, by name; what stands before the first one is ``""``."""
    text = Path(ROOT, path).read_text(encoding="utf-8")
    text = re.sub(r"\A# .*\n", "", text)
    first, *others = re.split(r"^(?=## )", text, flags=re.M)
    return {"": first} | {part.split("\n", 1)[0].removeprefix("## "): part for part in others}


def _with_anchors(text: str) -> str:
    """The code in the first cell of a row becomes an anchor, so that a link can lead to it."""
    return _CODE_ROW.sub(r"| `\1`{ #\1 } |", text)
