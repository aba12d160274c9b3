"""An extension of Griffe for mkdocs.yml: what docstrings hold beside Markdown and ``:param`` lists."""

from __future__ import annotations

import re
from typing import Any

import griffe

import skill_magic

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?(?P<target>[\w.]+)`")


class Docstrings(griffe.Extension):
    """Makes links of roles (:class:`X`) and code blocks of what follows ``::``, in Markdown's way."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute that Griffe reads."""
        if obj.docstring is not None:
            text = _ROLE.sub(_link, obj.docstring.value)
            obj.docstring.value = re.sub(r"::(?=\n\n[ ]{4})", ":", text)


def _link(role: re.Match[str]) -> str:
    name = role["target"].rpartition(".")[2]
    return f"[`{name}`][skill_magic.{name}]" if name in skill_magic.__all__ else f"`{name}`"
