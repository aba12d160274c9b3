"""Removal of a container with its anonymous volumes, now or when the engine is back."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from ..errors import EngineError
from .failures import translate

if TYPE_CHECKING:
    from .connect import Engine

__all__ = ["remove", "remove_later"]

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


def remove_later(engine: Engine, container: str) -> None:
    """Go on trying to remove a container, in a thread of its own, until the engine has done it."""

    def work() -> None:
        until = time.monotonic() + PERSISTENCE
        while time.monotonic() < until:
            time.sleep(1.0)
            with contextlib.suppress(EngineError):
                if remove(engine, container):
                    return

    threading.Thread(target=work, name=f"skill-magic-remove-{container[:12]}", daemon=True).start()
