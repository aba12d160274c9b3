"""``%skill`` and ``%%skill``: the door in IPython, in a notebook and in a terminal."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from traitlets import Bool, Enum, Float

from .door import (
    VIEWS,
    Door,
    ask_in_terminal,
    ask_kernel,
    chosen_view,
    in_notebook,
    notebook_of,
    terminal_columns,
    working_directory,
)
from .errors import (
    CommandError,
    PolicyError,
    RunError,
    SkillError,
    SkillFailed,
    SkillInterrupted,
    SkillNotFound,
    SpecError,
)

if TYPE_CHECKING:
    from .answer import Answer
    from .command.parse import Command, Request
    from .findings import Violation
    from .host import Host
    from .views.base import View

RESULT = ("skill_magic.result", "RunResult")


@magics_class
class SkillMagics(Magics):
    """Settings of ``%skill`` (``%config SkillMagics``). What a skill may do is not set here but in
    policy.toml."""

    shell: Any  # traitlets says InteractiveShell | None; here there is one

    view = Enum(
        VIEWS, "auto", help="What a run shows: the panel, plain text, nothing, or (auto) what fits the place."
    ).tag(config=True)
    short_errors = Bool(True, help="Show errors in a few lines; False adds the traceback.").tag(config=True)
    timeout = Float(None, allow_none=True, help="Seconds a run may take where it has no --timeout.").tag(
        config=True
    )

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        # A notebook's directory does not follow %cd. Front ends that do not name the notebook start the
        # kernel in it.
        self._start = working_directory()
        self._shown: tuple[int, int] | None = None

    # Not @output_can_be_silenced: IPython would read the line as Python tokens to look for a final ";", after
    # the run, and raise where the tool's arguments are no Python (a "(" without its pair, 0777).
    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def skill(self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None) -> Any:
        """Run a containerised program as if it were installed.

            %skill [options] NAME [-- ARGS...]
            r = %skill ffmpeg -- -i in.mp4 out.webm

        Everything after -- goes to the tool unchanged; without --, every word after NAME does. {name},
        {obj.attr} and {d[key]} are filled in from the notebook; one value stays one argument, a list becomes
        many. The result has exit_code, stdout, stderr, duration, peak_memory, files. A tool that fails raises
        SkillFailed; with --no-raise look at the result. One that you interrupt raises SkillInterrupted, which
        ends a loop around it as any KeyboardInterrupt does.

            %%skill [options] NAME [-- ARGS...]
            the tool's standard input, or its arguments where the manifest says cell = "args"

        Verbs: run list info explain check trust pull ps stop logs clean doctor. Options of a run:
        --timeout SECONDS, --memory SIZE, --cpus NUMBER, --pull WHEN, --out NAME, --stdout FILE, --bg,
        --keep, --no-raise, --quiet, --raw, --expand, --manifest PATH.

        %skill --help says more, %skill VERB --help about one verb, %skill doctor about this machine.
        """
        try:
            return self._perform(line, cell, {**self.shell.user_ns, **(local_ns or {})})
        except (SkillError, SkillInterrupted) as error:
            if isinstance(error, SkillFailed | SkillNotFound) and (elsewhere := self._elsewhere()):
                error.hint = "; ".join(filter(None, (error.hint, elsewhere)))
            error.hint = in_notebook(error.hint)
            if isinstance(error, SpecError | PolicyError):
                error.violations = tuple(_in_notebook(error.violations))
                error.listing = in_notebook(error.listing)
            if isinstance(error, PolicyError):
                error.details = in_notebook(error.details)
            if not self.in_kernel:
                error.columns = terminal_columns(sys.stdout)
            if self.short_errors:
                raise error from None
            _with_traceback(error, self.shell)
            raise

    def _perform(self, line: str, cell: str | None, namespace: dict[str, Any]) -> Any:
        from .command import parse as command

        parsed = command.parse(command.split(line), door="magic", namespace=namespace)
        if parsed.verb == "run":
            return self._run(parsed, cell, namespace)
        if cell is not None:
            if parsed.verb == "help" and not line.strip():
                hint = "write `%%skill NAME`; `%skill list` lists the skills"
                raise CommandError("name a skill after %%skill: the cell's body is for it", hint)
            words = "--help" if parsed.verb == "help" else parsed.verb
            raise CommandError(f"%%skill {words} takes no cell", f"write `%skill {words}`, with a single %")
        from .verbs import perform

        if parsed.verb == "help":
            print(command.help_text(parsed.names[0] if parsed.names else None))  # noqa: T201
            return None
        self.show(perform(parsed, self.door()), json=parsed.options.json)
        return None

    def _run(self, parsed: Command, cell: str | None, namespace: dict[str, Any]) -> Any:
        request = parsed.request
        assert request is not None  # noqa: S101  (the grammar gives every run a request)
        if request.options.timeout is None and self.timeout is not None:
            options = dataclasses.replace(request.options, timeout=self.timeout)
            request = dataclasses.replace(request, options=options)
        door = self.door(quiet=request.options.quiet)
        if cell is not None:
            request = with_body(request, cell, namespace, door.host)
        if request.options.bg:
            from . import background

            view = background.silent(door.view())
            return self._keep(request, background.start(request, door.host, view))
        from . import road

        try:
            result = road.execute(request, door.host, door.view())
        except (RunError, SkillInterrupted) as error:
            self._keep(request, error.result)
            raise
        self._shown = (self.shell.execution_count, id(result))
        return self._keep(request, result)

    def _keep(self, request: Request, value: Any) -> Any:
        if request.options.out is not None:
            self.shell.user_ns[request.options.out] = value
        return value

    @property
    def in_kernel(self) -> bool:
        """Whether a front end shows rich output; terminal IPython does not."""
        return getattr(self.shell, "kernel", None) is not None

    def directory(self) -> Path:
        """The notebook's directory; in a terminal, where there is no notebook, the working directory."""
        if not self.in_kernel:
            return working_directory()
        notebook = notebook_of(self.shell.user_ns)
        return notebook.parent if notebook else self._start

    def _elsewhere(self) -> str:
        """For an error: that the kernel has left the directory that skills see; else empty."""
        from contextlib import suppress

        with suppress(SkillError):
            here, mounted = working_directory(), self.host().directory
            if here != mounted:
                return f"skills see the notebook's directory, {mounted}; %cd to {here} does not move it"
        return ""

    def host(self) -> Host:
        """The machine and the caller as of now."""
        from . import host

        return host.discover(self.directory(), notebook=notebook_of(self.shell.user_ns))

    def names(self) -> list[str]:
        """The skills in reach, for completion."""
        from .manifest import layers as manifest

        return list(manifest.load(self.host()).skills)

    def door(self, *, quiet: bool = False) -> Door:
        """What a run or a verb may use of this place."""
        name = "quiet" if quiet else chosen_view(self.view)
        kernel = self.in_kernel
        ask = ask_kernel(self.shell.kernel) if kernel else ask_in_terminal()
        return Door("magic", self.host(), lambda: make_view(name, kernel=kernel), ask, notebook=kernel)

    def show(self, answer: Answer, *, json: bool) -> None:
        """Show what a verb says: a table in a notebook, text in a terminal, data where it was asked for."""
        from .answer import Findings

        blocks = [
            Findings(tuple(_in_notebook(each.violations)), in_notebook(each.listing))
            if isinstance(each, Findings)
            else each
            for each in answer.blocks
        ]
        answer = dataclasses.replace(answer, blocks=blocks)
        if json:
            print(answer.json())  # noqa: T201
        elif not answer.blocks:
            return  # the verb has written itself
        elif self.in_kernel:
            from IPython.display import display

            display(answer._repr_mimebundle_(), raw=True)
        else:
            print(answer.text(terminal_columns(sys.stdout)))  # noqa: T201

    def display_once(self, result: Any) -> None:
        """IPython's hook for a cell's last value: a result whose card stands in this cell already is left at
        that."""
        if self.in_kernel and self._shown == (self.shell.execution_count, id(result)):
            return
        raise NotImplementedError  # IPython goes on with the ordinary way of showing it

    def bundle_once(self, result: Any) -> dict[str, Any]:
        """The same in a terminal, which has its Out prompt printed by then: the result's one line, not its
        output."""
        if self._shown == (self.shell.execution_count, id(result)):
            return {"text/plain": repr(result)}
        bundle: dict[str, Any] = result._repr_mimebundle_()
        return bundle


def with_body(request: Request, body: str, namespace: dict[str, Any], host: Host) -> Request:
    """``request`` with the cell's body as stdin or as arguments, whichever the manifest says."""
    from . import road
    from .command import parse as command

    if not body.strip():
        raise CommandError("the cell has no body", command.help_text("cell"))
    if road.cell_mode(request, host) == "stdin":
        if request.options.expand:
            body = command.fill_in(body, namespace)
        return dataclasses.replace(request, stdin=body.encode())
    words = command.cell_arguments(body)
    habits = (*(request.habits or ()), *command.find_habits(words, "magic"))
    if not request.options.raw:
        words = command.interpolate(words, namespace)
    args = (*(request.args or ()), *map(str, words))
    command.check_arguments(args)
    return dataclasses.replace(request, args=args, habits=habits)


def make_view(name: str, *, kernel: bool) -> View:
    """The view called ``name`` for a notebook (``kernel``) or a terminal."""
    if name == "quiet":
        from .views.base import QuietView

        return QuietView()
    if not kernel:
        from .views.terminal import TerminalView

        return TerminalView()
    if name == "text" or importlib.util.find_spec("anywidget") is None:
        from .views.stream import StreamView

        return StreamView(card=True)
    from .views.panel import PanelView

    return PanelView()


def _in_notebook(violations: Iterable[Violation]) -> Iterator[Violation]:
    for each in violations:
        yield dataclasses.replace(each, fix=in_notebook(each.fix))


def _with_traceback(error: SkillError | SkillInterrupted, shell: Any) -> None:
    """Let IPython show ``error`` with its traceback: the short lines are a method, and an attribute wins over
    it."""

    def render() -> list[str]:
        from .text import sanitize

        found = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
        # The error's own text is clean; what led to it (an engine's answer, a value in a frame) may not be.
        return [sanitize(part).replace("\r", "\\r") for part in found]

    error._render_traceback_ = render  # type: ignore[method-assign]


def load(shell: Any) -> None:
    """Register the magics and their completion with ``shell``."""
    from . import completion

    magics = SkillMagics(shell)
    shell.register_magics(magics)
    completion.install(shell, magics)
    formatters = shell.display_formatter
    formatters.ipython_display_formatter.for_type_by_name(*RESULT, magics.display_once)
    formatters.mimebundle_formatter.for_type_by_name(*RESULT, magics.bundle_once)


def unload(shell: Any) -> None:
    """Take back what :func:`load` did, and stop background runs."""
    from . import completion

    completion.remove(shell)
    formatters = shell.display_formatter
    for formatter in (formatters.ipython_display_formatter, formatters.mimebundle_formatter):
        formatter.deferred_printers.pop(RESULT, None)
        formatter.pop(".".join(RESULT), None)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("skill", None)
    shell.configurables[:] = [each for each in shell.configurables if not isinstance(each, SkillMagics)]
    if background := sys.modules.get("skill_magic.background"):
        background.stop_all()
