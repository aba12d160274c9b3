"""The live panel of a run in a notebook; when the run ends the static card takes its place.

The panel is an anywidget (a JavaScript module beside this file) and not a box of ipywidgets controls
because of Stop: a control's click is a message that the kernel reads when the running cell is over, while a
module can ask the server to interrupt the kernel. It also lets the browser keep the output, so that only what
is new is sent.

Nothing here waits for the browser, so a run without one (nbclient, papermill) is the same run.
"""

from __future__ import annotations

import contextlib
import functools
import shlex
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..text import label
from . import card
from .panel_state import PanelState

if TYPE_CHECKING:
    from ..events import Event
    from ..result import RunResult
    from ..spec import RunSpec

DELAY = 0.5
"""Seconds a run must last before it gets a panel; a quicker one only leaves its card."""

INTERVAL = 0.5
"""Seconds between two updates. Each costs the browser a frame, and the tool may want all of that machine: with eight
updates a second and animations, a panel took an eighth of what a busy tool could have done (``benchmarks/panel.py``).
"""

SOON = 0.25
"""Seconds between two updates where the first told of usage only and the second has output."""

LEFT = 20
"""Ended runs whose widget is left open, with a few words in place of the panel, for a page that was loaded while the
run went on: no front end brings it the card, since only the page that started the cell knows the display's id."""

WORDS = 2000
"""Characters that such a page is told; programs that execute notebooks save them with the notebook."""

_AFTER = """export default { render({ model, el }) {
  el.classList.add("mathjax_ignore", "tex2jax_ignore");
  el.style.cssText = "white-space: pre-wrap; font: 12px/1.45 monospace; padding: 4px 0";
  el.textContent = model.get("snapshot").ended;
} };"""

KEYFRAME = 5.0
"""Seconds after which the whole state is sent again, for a page that was loaded in the meantime."""


class PanelView:
    """Shows one run in a notebook.

    A run that is followed by another thread than the one that made the view is a background run: its panel is
    shown at once, in the cell that made the view, and its Stop is a message that reaches ``stop()``.

    :param delay: see :data:`DELAY`. :param clock: seconds.
    """

    def __init__(self, *, delay: float = DELAY, clock: Callable[[], float] = time.monotonic) -> None:
        self._delay = delay
        self._clock = clock
        self._thread = threading.get_ident()
        self._cell = _cell()
        self._name = ""
        self._state: PanelState | None = None
        self._stop: Callable[[], None] = lambda: None
        self._widget: Any = None
        self._handle: Any = None
        self._told = False  # more than usage, with the last update
        self._began = self._sent = self._keyframe = clock()

    def begin(self, spec: RunSpec, stop: Callable[[], None]) -> None:
        """Take note of the run; show nothing yet, except for a background run."""
        background = threading.get_ident() != self._thread
        command = label(shlex.join((spec.skill, *spec.args)))
        self._state = PanelState(label(spec.skill), label(spec.image), command, background=background)
        for note in spec.notes:
            self._state.note(note)
        self._name, self._stop = spec.skill, stop
        self._began = self._clock()
        if background:
            self._show()

    def event(self, event: Event) -> None:
        """Take an event; the browser is told of it with the next update."""
        if self._state is not None:
            self._state.apply(event, self._clock())
            self.tick()

    def tick(self) -> None:
        """Show the panel when it is time, and send what is new, some two times a second."""
        now = self._clock()
        if self._state is None:
            return
        if now - self._sent < (SOON if self._state.urgent and not self._told else INTERVAL):
            return
        if self._widget is None:
            if now - self._began >= self._delay:
                self._show()
            return
        self._sent = now
        self._told = self._state.urgent
        message = self._state.delta(now)
        if message:
            self._widget.send(message)
        if now - self._keyframe >= KEYFRAME:
            self._keyframe = now
            self._widget.snapshot = self._state.snapshot(now)
        _free_replies(self._widget.comm)

    def finish(self, result: RunResult) -> None:
        """Put the card where the panel is, or show it where there was none."""
        bundle = card.bundle(result)
        words = bundle["text/plain"]
        if len(words) > WORDS:
            words = card.text(result, output=False)[:WORDS] + "\n  the output is in the result"
        self._replace(bundle, words)

    def tolerated(self, result: RunResult) -> None:
        """The card has said it."""

    def error(self, error: BaseException) -> None:
        """Leave one line where the panel was; the error itself is shown by whoever raises it."""
        if self._handle is not None and self._state is not None:
            bundle = card.notice(self._name, "did not run")
            self._replace(bundle, bundle["text/plain"])

    def _show(self) -> None:
        assert self._state is not None  # noqa: S101  (begin comes first)
        from IPython.display import display

        now = self._clock()
        self._state.delta(now)  # the snapshot holds it
        self._widget = _widget_class()(snapshot=self._state.snapshot(now))
        self._widget.on_msg(self._on_message)
        with _shown_in(self._cell):
            self._handle = display(self._widget, display_id=True)
        self._sent = self._keyframe = now
        _free_replies(self._widget.comm)

    def _replace(self, bundle: dict[str, Any], words: str) -> None:
        from IPython.display import display

        if self._handle is None:
            with _shown_in(self._cell):
                display(bundle, raw=True)
        else:
            self._handle.update(bundle, raw=True)
        if self._widget is not None:
            _retire(self._widget, words)
        self._widget = self._handle = None

    def _on_message(self, widget: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and content.get("stop"):
            threading.Thread(target=self._stop, name="skill-magic-stop", daemon=True).start()


def _cell() -> dict[str, Any]:
    """The header of the message that the kernel is working on, by which a front end knows the cell."""
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    return dict(kernel.get_parent().get("header", {})) if kernel is not None else {}


@contextlib.contextmanager
def _shown_in(cell: dict[str, Any]) -> Iterator[None]:
    """What this thread displays belongs to ``cell``; without it, to whatever cell was started last."""
    from IPython import get_ipython

    def mark(message: dict[str, Any]) -> dict[str, Any]:
        message["parent_header"] = cell
        return message

    publisher: Any = getattr(get_ipython(), "display_pub", None)
    if not cell or not hasattr(publisher, "register_hook"):
        yield
        return
    publisher.register_hook(mark)  # hooks are the thread's own
    try:
        yield
    finally:
        publisher.unregister_hook(mark)


_left: deque[Any] = deque()


def _retire(widget: Any, words: str) -> None:
    """Leave ``words`` in the widget, and close the oldest of those that were left so."""
    if widget.comm is None:
        return  # Widget.close_all() came first
    # Programs that execute notebooks (nbclient) write a widget's last state to the file: the panel's would be 25 kB.
    with widget.hold_sync():
        widget._esm, widget._css, widget.snapshot = _AFTER, "", {"ended": words}
    _left.append(widget)
    while len(_left) > LEFT:
        oldest = _left.popleft()
        oldest.layout.close()
        oldest.close()


def _free_replies(comm: Any) -> None:
    """Let the front end's messages for ``comm`` reach the kernel while a cell runs, where the kernel can.

    ipykernel 7.4 sends a message of the front end to the thread that wrote last on its comm, which is the
    busy one; without this note it goes to the subshell that the front end chose. A background run can then be
    stopped while another cell runs. The attribute is private: where it is missing, the message waits.
    """
    with contextlib.suppress(AttributeError, KeyError, TypeError):
        del vars(comm)["_reply_subshell_id"]


@functools.cache
def _widget_class() -> type[Any]:
    # Made on first use: importing ipywidgets costs more than a quick run.
    import anywidget
    import traitlets

    here = Path(__file__)

    class Panel(anywidget.AnyWidget):
        _esm = here.with_suffix(".js").read_text(encoding="utf-8")
        _css = here.with_suffix(".css").read_text(encoding="utf-8")
        snapshot = traitlets.Dict().tag(sync=True)

        def __repr__(self) -> str:
            # What a reader without widgets shows of a notebook that was saved in the middle of a run.
            skill = self.snapshot.get("head", {}).get("skill", "")
            return f"{skill}: was running when this was saved"

    return Panel
