"""Gates between create and start: is the container what was decided, and do its mounts still lead where they
did?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import PolicyError
from ..findings import Violation
from . import made

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine

__all__ = ["check_made"]


def check_made(
    engine: Engine,
    found: Mapping[str, Any],
    body: Mapping[str, Any],
    facts: ImageFacts,
    spec: RunSpec,
    host: Host,
) -> None:
    """Compare the container that was made with the request; look again at what only now can be known.

    :param found: the engine's inspect of the container; :param body: what it was asked for.
    :raises PolicyError: ``engine-differs``, or what the policy has against it. :raises EngineError: no
        answer.
    """
    from ..mounts.mounts import recheck
    from .verify import differences

    unlike = differences(body, found, podman=engine.podman)
    if engine.podman:
        # It never says that standard input closes with its first reader, and does it all the same.
        unlike = [text for text in unlike if not text.startswith("Config.StdinOnce:")]
    if found.get("Image") != facts.id:
        unlike.append(f"Image: {facts.id} was looked at, {found.get('Image')} would run")
    if unlike:
        raise PolicyError(
            "the engine made something else than it was asked for; nothing was started",
            [
                Violation(
                    code="engine-differs",
                    field=text.split(":", 1)[0],
                    value=text,
                    reason="The container that the engine made differs from what was decided.",
                    fix="Run again; if it stays, look at the engine's configuration and plugins.",
                )
                for text in unlike
            ],
        )
    made.check(engine, spec, host)
    recheck(spec)
