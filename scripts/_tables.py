"""The tables that the README and the documentation site show, made from the code."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from skill_magic import cli, errors  # noqa: E402  (found in this tree, whatever is installed)
from skill_magic.command.grammar import OPTIONS, VERBS  # noqa: E402
from skill_magic.command.help import help_text  # noqa: E402
from skill_magic.magics import SkillMagics  # noqa: E402
from skill_magic.manifest.keys import DOCKER, NOTEBOOK  # noqa: E402
from skill_magic.policy.settings import Settings  # noqa: E402

SETTINGS = {
    "profile": '`"default"`, or `"strict"`: read-only root, grants for `bridge` and `gpus`, digests, '
    "numeric users",
    "max_memory": "the most memory a run may have: `8g`",
    "max_cpus": "the most CPUs",
    "max_pids": "the most processes",
    "registries": "registries that need no grant, in place of the well-known ones",
    "networks": "networks that need no grant",
    "allow_home_project": "a notebook in the home directory itself may run skills; credentials are hidden",
    "forbid_grants": "patterns of grants that no person may give here: `uid0`, `mount:rw:*`",
}


_PLACES: dict[tuple[str, ...], str] = {("magic",): "notebook", ("shell",): "shell"}


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def tables() -> dict[str, str]:
    """The tables of the README and of the documentation site, by the name they are asked for."""
    catalog = tomllib.loads((ROOT / "skill_magic/catalog/skills.toml").read_text())["skills"]
    settings = [field.name for field in fields(Settings) if field.name != "files"]
    if settings != list(SETTINGS):
        sys.exit(f"scripts/_tables.py: SETTINGS is not what the code has: {settings}")
    traits = SkillMagics.class_traits(config=True)
    return {
        "skills": table(
            ("Skill", "What it does", "Image", "Network", "Memory"),
            (
                (
                    f"`{name}`",
                    skill["description"],
                    f"`{skill['docker']['image']}`",
                    skill["docker"].get("network", "none"),
                    skill["docker"].get("memory", ""),
                )
                for name, skill in catalog.items()
            ),
        ),
        "options": table(
            ("Option", "Meaning", "Where"),
            (
                (
                    "`"
                    + ", ".join(w for w in (option.short, option.long) if w)
                    + f"{' ' + option.value if option.value else ''}`",
                    option.meaning,
                    _PLACES.get(option.doors, "both"),
                )
                for option in OPTIONS.values()
            ),
        ),
        "verbs": table(
            ("Verb", "Meaning"),
            (
                (f"`{name} {verb.usage}`".replace(" `", "`"), verb.meaning)
                for name, verb in VERBS.items()
                if not verb.reserved
            ),
        ),
        "keys": table(
            ("Key of `[skills.X.docker]`", "Type", "Default", "Meaning"),
            ((f"`{name}`", key.kind, key.default, key.meaning) for name, key in DOCKER.items()),
        ),
        "notebook-keys": table(
            ("Key of `[skills.X.notebook]`", "Type", "Default", "Meaning"),
            ((f"`{name}`", key.kind, key.default, key.meaning) for name, key in NOTEBOOK.items()),
        ),
        "settings": table(
            ("Setting", "Meaning"),
            [
                (f"`%config SkillMagics.{name}` = `{trait.default()!r}`", trait.help)
                for name, trait in sorted(traits.items())
            ]
            + [(f"`{name}` in `policy.toml`", meaning) for name, meaning in SETTINGS.items()],
        ),
    }


def site_tables() -> dict[str, str]:
    """What the documentation site shows beside :func:`tables`."""
    return {
        **tables(),
        "errors": table(("Error", "Kind of", "When"), map(_error_row, errors.__all__)),
        "exit-codes": table(("Exit code", "Meaning"), _exit_codes()),
        "magic-help": _helps("magic"),
        "shell-help": _helps("shell"),
    }


def _error_row(name: str) -> tuple[str, str, str]:
    """The class with a link to its description, the class it is derived from, and its docstring's first sentences."""
    kind = getattr(errors, name)
    parent = next(base for base in kind.__mro__[1:] if not base.__name__.startswith("_"))
    parent_name = parent.__name__
    shown = (
        f"[`{parent_name}`][skill_magic.{parent_name}]"
        if parent_name in errors.__all__
        else f"`{parent_name}`"
    )
    meaning = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return f"[`{name}`][skill_magic.{name}]", shown, roles_to_code(meaning)


def roles_to_code(text: str) -> str:
    """Docstring markup as Markdown: a role such as ``:class:`X``` and a literal become code."""
    return re.sub(r"(?::[a-z]+:)?(`+)~?(?:[\w.]+\.)?([^`]+)\1", r"`\2`", text)


def _exit_codes() -> list[tuple[str, str]]:
    """The rows of the table in the docstring of the module that gives the codes."""
    parts = re.split(r"^=+  =+$", cli.__doc__ or "", flags=re.M)
    if len(parts) != 3:
        sys.exit("scripts/_tables.py: the docstring of skill_magic.cli has no table of exit codes")
    rows = re.findall(r"^(\d+) +(.+(?:\n {8}.+)*)", parts[1], flags=re.M)
    return [(f"`{code}`", roles_to_code(" ".join(meaning.split()))) for code, meaning in rows]


def _helps(door: Literal["magic", "shell"]) -> str:
    """The help of every verb as it is printed, one block each."""
    me = "%skill" if door == "magic" else "skill"
    verbs = [name for name, verb in VERBS.items() if not verb.reserved]
    parts = [f"```text\n{help_text(None, door)}\n```"]
    parts += [f"### `{me} {verb}`\n\n```text\n{help_text(verb, door)}\n```" for verb in verbs]
    return "\n\n".join(parts)
