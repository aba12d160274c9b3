"""Resume: a kept run that another process has started, picked up: its output from the beginning, then its
end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EngineError
from ..events import Output, Started
from ..spec import Limits, RunSpec
from .ending import seconds
from .failures import translate
from .life import Life
from .reaper import find
from .stream import Demultiplexer, Response

if TYPE_CHECKING:
    from ..host import Host
    from .connect import Engine

__all__ = ["Resumed"]


class Resumed(Life):
    """The rest of a kept run's life. It stays kept; ``clean`` or ``remove`` takes it away.

    :param name: the container's name or id, the beginning of either, or its skill's name.
    :raises EngineError: there is no such run, or it was not started to be kept.
    """

    def __init__(self, engine: Engine, name: str, host: Host) -> None:
        found = find(engine, name, prefer=lambda each: each.keep)
        if not found.keep:
            raise EngineError(
                f"{found.name} cannot be picked up: its output goes to the process that started it",
                "only a run started with `--bg --keep` can be",
            )
        with translate("inspect the container"):
            self._found = engine.api.inspect_container(found.id)
        limits = self._found["HostConfig"]
        spec = RunSpec(
            found.skill,
            found.image,
            network=str(limits.get("NetworkMode") or "none"),
            limits=Limits(memory=limits.get("Memory") or None, nano_cpus=limits.get("NanoCpus") or None),
            directory=Path(found.directory),
        )
        super().__init__(engine, spec, host, stdin=None, check_image=None, keep=True)
        self.name = found.name
        self.container = found.id

    def _lead(self) -> None:
        assert self.container is not None  # noqa: S101 - it was found
        state = self._found["State"]
        begun = seconds(state.get("StartedAt")) or time.time()
        self.started = time.monotonic() - (time.time() - begun)
        if state.get("Running"):
            self.running.set()
        self.channel.put(Started(self.container, self.name, str(self._found["Image"]), None, begun))
        with translate("read the tool's output"):
            params = {"stdout": 1, "stderr": 1, "follow": 1}
            response = Response(self.engine.api, "GET", f"/containers/{self.container}/logs", params)
        self._streams.append(response)
        try:
            self._drain(_outputs(response))
            state = self._wait()
        finally:
            self.ended.set()
            response.close()
        self._finish(state)


def _outputs(response: Response) -> Iterator[Output]:
    import requests

    split = Demultiplexer()
    # A stream that breaks off says nothing of the tool: what has become of it is asked of the engine next.
    with contextlib.suppress(requests.RequestException, OSError):
        for chunk in response.chunks():
            yield from split.feed(chunk)
