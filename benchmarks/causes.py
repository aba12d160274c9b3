"""How many recorded failures of real tools have their cause named by the line that ends the summary.

The recordings are in ``tests/recorded/failures``. Those that were held out while the picker was written are counted
apart, and by what it made of them at first sight: it has learned from the misses since. With ``--misses`` those that
are missed are listed with what was picked, with ``--all`` every one; ``--held-out`` includes those held out.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from skill_magic.output import saved
from skill_magic.views.words import cause

PLACE = Path(__file__).parents[1] / "tests" / "recorded" / "failures"


def recordings() -> dict[str, dict[str, Any]]:
    return tomllib.loads((PLACE / "failures.toml").read_text("utf-8"))


def picked(name: str) -> list[str]:
    streams = [PLACE / f"{name}{ending}" for ending in (".out.txt", ".txt")]
    out, err = (path.read_bytes() if path.exists() else b"" for path in streams)
    return cause(saved(out, err)).splitlines()


def named(expected: list[str], lines: list[str]) -> bool:
    return all(any(text in line for line in lines) for text in expected)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    given = parser.parse_args()
    hits: dict[bool, list[bool]] = {False: [], True: []}
    now = []
    for name, entry in recordings().items():
        lines, held = picked(name), entry.get("held_out", False)
        hit = named(entry["expected"], lines)
        hits[held].append(hit and not entry.get("missed_at_first", False))
        now.append(hit)
        if (given.all or (given.misses and not hit)) and (given.held_out or not held):
            print(f"{'  ' if hit else '✗ '}{name}: expected {entry['expected']}")
            for line in lines:
                print(f"      {line}")
    for title, found in (
        ("worked on", hits[False]),
        ("held out, at first sight", hits[True]),
        ("all, now", now),
    ):
        print(f"{title}: the cause is named in {sum(found)} of {len(found)}, {sum(found) / len(found):.1%}")


if __name__ == "__main__":
    main()
