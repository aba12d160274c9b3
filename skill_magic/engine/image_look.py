"""A look into an image: a container of it that is never started and has no mounts of the host."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import session
from .failures import translate

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine

__all__ = ["opened"]


LOOK = "skill-look-"
"""How the names of such containers begin: they are no runs."""


@contextlib.contextmanager
def opened(engine: Engine, spec: RunSpec, host: Host, facts: ImageFacts) -> Iterator[str]:
    """The id of such a container, which is gone afterwards.

    Without the mounts of the run, since an engine makes the places of mounts even to look at a file.

    :raises EngineError: the engine refuses.
    """
    here = session.current()
    here.protect(engine)
    name = f"{LOOK}{uuid.uuid4().hex[:8]}"
    body = {
        "Image": facts.id,
        "Entrypoint": ["true"],
        "Labels": here.labels(spec, host, name, facts.id, keep=False),
        "NetworkDisabled": True,
        "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}},
    }
    with translate("look into the image"):
        container = engine.api.create_container_from_config(body, name)["Id"]
        try:
            yield container
        finally:
            engine.api.remove_container(container, v=True, force=True)
