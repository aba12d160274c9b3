"""``pull``: fetch the images of skills before they are needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import road
from ..answer import Answer, Block, Text
from ..foreign import UNTYPESET, line, markup

if TYPE_CHECKING:
    from ..command.parse import Command
    from ..door import Door
    from ..events import Pulling


def pull(command: Command, door: Door) -> Answer:
    """Pull the image of every named skill, a newer one too. The policy decides first: a pull is a request to
    a registry that the manifest names.
    """
    from ..command.parse import Request
    from ..engine.images import ensure
    from ..errors import CommandError

    if not command.names:
        raise CommandError("pull needs the name of a skill", f"write `{door.line('pull NAME...')}`")
    # All are decided before the first is pulled, so that a fault in the last does not come after a long wait.
    decisions = []
    for name in command.names:
        decision = road.decide(Request(name, options=command.options), door.host)
        decision.raise_for_verdict()
        decisions.append(decision)
    engine = road.connect(door.host)
    blocks: list[Block] = []
    data = []
    for decision in decisions:
        spec = decision.spec
        assert spec is not None  # noqa: S101  (an allowed decision has one)
        with_progress = _Progress(door)
        try:
            image = ensure(engine, spec.image, platform=spec.platform, pull="always", emit=with_progress)
        finally:
            with_progress.end()
        blocks.append(Text(f"{spec.image}: {image.digest or image.id}", good=True))
        data.append({"name": decision.name, "image": spec.image, "digest": image.digest, "id": image.id})
    return Answer(blocks, data)


class _Progress:
    """One line that is written over: in the cell in a notebook, on stderr in a terminal, nowhere else."""

    INTERVAL = 0.25  # seconds

    def __init__(self, door: Door) -> None:
        self._last = 0.0
        self._handle: Any = None
        self._write: Callable[[str], None] | None = None
        if door.notebook:
            self._write = self._display
        elif sys.stderr.isatty():
            self._write = self._overwrite

    def __call__(self, event: Pulling) -> None:
        now = time.monotonic()
        if self._write is not None and now - self._last >= self.INTERVAL:
            self._last = now
            self._write(_line(event))

    def end(self) -> None:
        """Take the line away."""
        if self._handle is not None:
            self._handle.update({"text/plain": "", "text/html": ""}, raw=True)
        elif self._last:
            self._overwrite("")

    def _display(self, text: str) -> None:
        from IPython.display import display

        bundle = {"text/plain": text, "text/html": f"<div {UNTYPESET}>{markup(text)}</div>"}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

    def _overwrite(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _line(event: Pulling) -> str:
    from ..views.words import size

    done, known = event.layers
    amount = size(event.current) if event.total is None else f"{size(event.current)} of {size(event.total)}"
    return line(f"pulling {event.image}: {amount}, {done} of {known} layers, {event.status}")
