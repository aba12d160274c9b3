"""Progress of a pull: the engine's messages per layer → bytes over all layers, never going backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..events import Pulling

__all__ = ["Progress"]

_DONE = frozenset({"Pull complete", "Already exists"})
_LOADED = frozenset({"Verifying Checksum", "Download complete", "Extracting"}) | _DONE


@dataclass
class _Layer:
    current: int = 0
    total: int | None = None
    done: bool = False


class Progress:
    """Adds up the messages of one pull.

    Only downloads are counted: the bytes of unpacking are the same bytes again.
    """

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, _Layer] = {}
        self._current = 0
        self._status = ""

    def update(self, message: Mapping[str, Any]) -> bool:
        """Take in one message; returns whether anything changed."""
        status = str(message.get("status") or "")
        if not status:
            return False
        name = str(message.get("id") or "")
        if not name or status.startswith(("Pulling from", "Pulling repository")):
            # About the image, not a layer: "Digest: sha256:…", "Status: Downloaded newer image for …".
            self._status = status
            return True
        layer = self._layers.setdefault(name, _Layer())
        self._status = status
        detail = message.get("progressDetail") or {}
        if status == "Downloading" and detail.get("current") is not None:
            layer.current = max(layer.current, int(detail["current"]))
            if detail.get("total"):
                layer.total = max(layer.total or 0, int(detail["total"]))
        elif status in _LOADED:
            if layer.total is None:
                # So small that no download was reported, or here already: nothing to wait for.
                layer.total = layer.current
            layer.current = layer.total
            layer.done = layer.done or status in _DONE
        return True

    def event(self) -> Pulling:
        """The state as an event."""
        layers = self._layers.values()
        # A retried download starts its layer again; the sum does not follow it back.
        self._current = max(self._current, sum(layer.current for layer in layers))
        totals = [layer.total for layer in layers]
        total = sum(size for size in totals if size is not None) if layers and None not in totals else None
        return Pulling(
            image=self._image,
            current=self._current,
            total=None if total is None else max(total, self._current),
            layers=(sum(layer.done for layer in layers), len(self._layers)),
            status=self._status,
        )
