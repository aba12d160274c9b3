"""A person's terminal: output, one line of live figures, a summary."""

from __future__ import annotations

from .stream import StreamView


class TerminalView(StreamView):
    """As StreamView, with a live line on standard error while the tool is silent."""
