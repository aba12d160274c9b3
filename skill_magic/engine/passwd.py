"""The passwd entry of the caller: programs that ask who they are (psql, node, getpass) must get an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine


def with_entry(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> RunSpec:
    return spec
