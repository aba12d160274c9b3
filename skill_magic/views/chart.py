"""CPU and memory over time as a small SVG picture that reads on a light and on a dark page."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import words

if TYPE_CHECKING:
    from ..events import Usage

POINTS = 240
"""Points per line; more samples are thinned, each keeping the largest of those it stands for."""

CPU_COLOUR = "#3a7fc0"
MEMORY_COLOUR = "#a96f1c"
INK = "#7c7c7c"

WIDTH, HEIGHT = 640, 92  # of the whole picture, in its own units
_PLOT_WIDTH, _TOP, _PLOT_HEIGHT = 304, 22, 52


def svg(samples: Sequence[Usage], memory_limit: int | None = None) -> str:
    """The picture; an empty string where fewer than three samples make no line."""
    if len(samples) < 3:
        return ""
    cpu = [(s.elapsed, s.cpu_percent) for s in samples if s.cpu_percent is not None]
    memory = [(s.elapsed, float(s.memory)) for s in samples]
    end = max(samples[-1].elapsed, 0.001)
    most = max((value for _, value in cpu), default=0.0)
    cpu_said = f"up to {words.percent_of(most, samples[-1].cpus)}"
    peak = max(value for _, value in memory)
    memory_said = f"up to {words.of_limit(round(peak), memory_limit)}"
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="system-ui,sans-serif" font-size="11" fill="{INK}">'
    )
    parts = [
        start,
        _plot(0, "CPU", cpu_said, cpu, end, max(most, 1.0), CPU_COLOUR),
        _plot(WIDTH - _PLOT_WIDTH, "memory", memory_said, memory, end, max(peak, 1.0), MEMORY_COLOUR),
        "</svg>",
    ]
    return "".join(parts)


def data_uri(picture: str) -> str:
    """The SVG as an address for ``<img src>``; as an image it can run nothing and load nothing."""
    return "data:image/svg+xml;base64," + base64.b64encode(picture.encode()).decode()


def description(samples: Sequence[Usage]) -> str:
    """The picture in words."""
    most = max((s.cpu_percent for s in samples if s.cpu_percent is not None), default=0.0)
    peak = max(s.memory for s in samples)
    return (
        f"CPU and memory over {words.duration(samples[-1].elapsed)}: "
        f"CPU up to {words.percent_of(most, samples[-1].cpus)}, memory up to {words.size(peak)}"
    )


def thin(points: Sequence[tuple[float, float]], most: int = POINTS) -> list[tuple[float, float]]:
    """At most ``most`` points; each is the highest of its neighbours, so that no peak is lost."""
    step = -(-len(points) // most) or 1
    return [max(points[at : at + step], key=lambda point: point[1]) for at in range(0, len(points), step)]


def _plot(
    left: int,
    name: str,
    said: str,
    points: Sequence[tuple[float, float]],
    end: float,
    top: float,
    colour: str,
) -> str:
    bottom = _TOP + _PLOT_HEIGHT
    placed = [
        (left + _PLOT_WIDTH * min(max(at / end, 0.0), 1.0), bottom - _PLOT_HEIGHT * min(value / top, 1.0))
        for at, value in thin(points)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    area = f"{placed[0][0]:.1f},{bottom} {line} {placed[-1][0]:.1f},{bottom}" if placed else ""
    right = left + _PLOT_WIDTH
    return (
        f'<text x="{left}" y="12"><tspan font-weight="600" fill="{colour}">{html.escape(name)}</tspan> '
        f"{html.escape(said)}</text>"
        f'<polygon points="{area}" fill="{colour}" fill-opacity="0.16"/>'
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<path d="M{left} {bottom + 0.5}H{right}" stroke="{INK}" stroke-opacity="0.5"/>'
        f'<text x="{left}" y="{bottom + 14}" font-size="10">0</text>'
        f'<text x="{right}" y="{bottom + 14}" font-size="10" text-anchor="end">'
        f"{html.escape(words.duration(end))}</text>"
    )
