"""Hints for a module or a library that a tool wants and its image does not have."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..foreign import line

if TYPE_CHECKING:
    from ..spec import RunSpec

__all__ = ["missing"]

_PYTHON = re.compile(
    r"^(?:E +)?(?:[\w./-]{1,200}: |(?:\w{1,60}\.){0,4}(?:ModuleNotFoundError|ImportError): )"
    r"No module named '?([A-Za-z_][\w.]{0,80})'?$"
)
_NODE = re.compile(
    r"\bCannot find (?:module|package) '((?:@[\w.-]{1,80}/)?[A-Za-z][\w.-]{0,80})(?:/[\w./-]{0,100})?'"
)
_OTHERS = (
    (re.compile(r"error while loading shared libraries: (lib[\w.+-]{1,80}): "), "library"),
    (re.compile(r"^ImportError: (lib[\w.+-]{1,80}): cannot open shared object file"), "library"),
    (re.compile(r"there is no package called .([A-Za-z][\w.]{0,80})."), "R package"),
    (re.compile(r"^Can't locate ([A-Za-z][\w/]{0,80}\.pm) in @INC"), "Perl module"),
    (re.compile(r"cannot load such file -- ([A-Za-z][\w/-]{0,80}) \(LoadError\)"), "Ruby library"),
)

#: Modules whose package has another name.
_PACKAGES = {
    "Crypto": "pycryptodome", "OpenSSL": "pyOpenSSL", "PIL": "pillow", "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless", "dateutil": "python-dateutil", "docx": "python-docx",
    "dotenv": "python-dotenv", "fitz": "PyMuPDF", "git": "GitPython", "jwt": "PyJWT", "magic": "python-magic",
    "psycopg2": "psycopg2-binary", "serial": "pyserial", "skimage": "scikit-image", "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}  # fmt: skip


def missing(spec: RunSpec, lines: Sequence[str]) -> Iterator[str]:
    """The hint for the last of ``lines`` that names something which the image lacks."""
    for said in reversed(lines):
        if found := _PYTHON.search(said):
            name = found[1].split(".")[0]
            if not _own(spec, name, (".py", "")):
                yield _python(spec, name)
            return
        if found := _NODE.search(said):
            yield _node(spec, found[1])
            return
        for pattern, kind in _OTHERS:
            if found := pattern.search(said):
                yield _elsewhere(spec, f"the {kind} {found[1]}")
                return


def _own(spec: RunSpec, name: str, endings: Sequence[str]) -> bool:
    """Whether it is the person's own module, which no image would have."""
    # A link is not followed: the name is the tool's, and whether something is there would be told to it.
    return any(os.path.lexists(spec.directory / f"{name}{ending}") for ending in endings)


def _elsewhere(spec: RunSpec, what: str) -> str:
    where = "in a skill of your own" if spec.origin == "bundled" else f"as `image` of {line(spec.skill)}"
    return f"{line(spec.image)} has no {what}: name an image that has it, {where}".replace("no the ", "no ")


def _python(spec: RunSpec, name: str) -> str:
    said = _elsewhere(spec, f"module {name}")
    if spec.origin != "bundled" or name == "pip" or name in sys.stdlib_module_names:
        return said
    package = _PACKAGES.get(name, name)
    return (
        f"{said}; or install it beside the notebook: "
        f"skill run python-runner-net -- -m pip install --target lib {package}"
        ', and sys.path.insert(0, "lib") in the script'
    )


def _node(spec: RunSpec, name: str) -> str:
    said = _elsewhere(spec, f"module {name}")
    if spec.origin != "bundled":
        return said
    if _own(spec, "node_modules", ("",)):
        return f"{said}; or add it to node_modules yourself, which tools may only read: npm install {name}"
    return f"{said}; or install it beside the notebook: skill run npm-runner -- install {name}"
