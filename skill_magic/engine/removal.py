"""Removal of a container with its anonymous volumes, now or when the engine is back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import EngineError
from .failures import translate
from .ownership import signed_name

if TYPE_CHECKING:
    from .connect import Engine

__all__ = ["remove", "remove_later", "remove_named"]

PERSISTENCE = 600.0
"""Seconds during which a container that could not be removed is tried again."""


def remove(engine: Engine, container: str) -> bool:
    """Remove a container, running or not, with its anonymous volumes; whether it is gone.

    :raises EngineError: the engine refuses; :raises EngineLost: it does not answer.
    """
    import docker.errors

    for _ in range(100):
        with translate(f"remove the container {container[:12]}"):
            try:
                engine.api.remove_container(container, v=True, force=True)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                # 409: somebody else is removing it, or it is between two states; it is gone in a moment.
                if error.status_code != 409:
                    raise
            else:
                return True
        time.sleep(0.05)
    return False


def remove_named(engine: Engine, name: str) -> bool:
    """Remove a container of ours of which only the name is known; whether there is none of ours any more.

    The engine may have refused to make it because somebody else has one of that name.

    :raises EngineError: as for :func:`remove`.
    """
    import docker.errors

    with translate(f"look for the container {name}"):
        try:
            found = engine.api.inspect_container(name)
        except docker.errors.NotFound:
            return True
    labels = (found.get("Config") or {}).get("Labels") or {}
    names = [str(found.get("Name") or "").removeprefix("/")]
    ours = signed_name(engine.key, names, labels, str(found.get("Image") or ""))
    return not ours or remove(engine, str(found["Id"]))


def remove_later(once: Callable[[], bool], name: str) -> None:
    """Go on trying to remove a container, in a thread of its own, until the engine has done it.

    :param once: one try; whether the container is gone.
    """

    def work() -> None:
        until = time.monotonic() + PERSISTENCE
        while time.monotonic() < until:
            time.sleep(1.0)
            with contextlib.suppress(EngineError):
                if once():
                    return

    threading.Thread(target=work, name=f"skill-magic-remove-{name}", daemon=True).start()
