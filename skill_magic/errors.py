"""Everything that can go wrong, as one tree, and the interrupt beside it; each carries a hint.

.. code-block:: text

    SkillError
    ├── CommandError            the words on the line cannot be read
    ├── SpecError               invalid input; .violations lists every fault ("error" in `skill check`)
    │   └── ManifestError       ... in a manifest
    ├── SkillNotFound           no such skill; names the near miss and where we looked
    ├── PolicyError             refused by the policy; .violations ("deny", or "trust" when all are liftable)
    ├── EngineError             the engine said no, or says nothing
    │   ├── EngineUnavailable   no client, no daemon, no permission, no such context; .problem says which
    │   ├── EngineLost          it stopped answering in the middle of a run
    │   ├── ImageError          pull failed; .problem says why
    │   └── GpuUnavailable      `gpus` asked of an engine that has none
    └── RunError                the tool ran and did not succeed; .result
        ├── SkillFailed         exit code other than 0
        ├── SkillKilled         out of memory, or killed from outside
        ├── SkillTimeout        ran past --timeout
        └── SkillStopped        somebody stopped it: a background run, one in a thread or in a worker process

    KeyboardInterrupt
    └── SkillInterrupted        a person stopped the run that the main thread waited for; .result

``SkillInterrupted`` is no ``SkillError``: like Python's own ``KeyboardInterrupt`` it passes ``except Exception``, so
that a loop around the run ends. It never leaves the main thread of the process that a person interrupts. What travels,
through a handle, an executor or a pipe to another process, is ``SkillStopped``: executors and schedulers that see a
``KeyboardInterrupt`` in an answer take it for their own end.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .findings import LISTING, told, without_offer
from .foreign import line
from .wrap import WIDTH, wrap

if TYPE_CHECKING:
    from .findings import Violation
    from .result import RunResult

__all__ = [
    "CommandError",
    "EngineError",
    "EngineLost",
    "EngineUnavailable",
    "GpuUnavailable",
    "ImageError",
    "ManifestError",
    "PolicyError",
    "RunError",
    "SkillError",
    "SkillFailed",
    "SkillInterrupted",
    "SkillKilled",
    "SkillNotFound",
    "SkillStopped",
    "SkillTimeout",
    "SpecError",
]


def _restored(kind: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    error = kind.__new__(kind)
    error.args = args
    return error


class _Told(BaseException):
    """What an error and an interrupt have in common: a few lines for a person.

    Names and values in it are often a stranger's, so each text is one line, whatever it holds: a traceback shows
    ``str(error)`` as it is, and a line end in a key must not make a line of its own.

    :param message: what is wrong, one line of plain text.
    :param hint: the way out; an empty string where the message says it already.
    :param more: further lines of the message.

    ``columns`` is how wide IPython shows it; the magic sets it for a terminal.
    """

    def __init__(self, message: str, hint: str = "", *, more: Sequence[str] = ()) -> None:
        self.message = "\n".join(map(line, (message, *more)))
        super().__init__(self.message)
        self.hint = hint
        self.columns: int | None = WIDTH

    def __reduce__(self) -> tuple[Any, ...]:
        # Whole, whatever arguments a class asks for: an executor sends errors from one process to another.
        return _restored, (type(self), self.args), self._facts()

    def _facts(self) -> dict[str, Any]:
        """What goes along with a copy; not how the shell of this process shows the error."""
        return {name: value for name, value in self.__dict__.items() if name != "_render_traceback_"}

    def lines(self, width: int | None = None) -> list[str]:
        """The error as the few lines that a person reads, hint last.

        :param width: columns of a line; ``None``: as long as they are.
        """
        first, *rest = self.message.split("\n")
        return [
            *wrap(f"{type(self).__name__}: {first}", width, "  "),
            *(part for each in rest for part in wrap(each, width, " " * _indent(each))),
            *(wrap(line(f"hint: {self.hint}"), width, "      ") if self.hint else []),
        ]

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: shows these lines instead of a traceback, in the notebook and in a terminal, and the cell
        # still counts as failed, so that Run All, nbclient and papermill stop.
        return [line(each) for each in self.lines(self.columns)]


def _indent(text: str) -> int:
    """How far the rest of a line stands in that had to be broken: further than its start."""
    return len(text) - len(text.lstrip(" ")) + 2


class SkillError(_Told, Exception):
    """Base of all errors of this package: a message, a hint, and ``lines()`` of both.

    :param message: what is wrong, one line of plain text.
    :param hint: the way out; an empty string where the message says it already.
    :param more: further lines of the message.
    """


class CommandError(SkillError):
    """The words on a ``%skill`` line or after ``skill`` cannot be read."""


class _Findings(SkillError):
    def __init__(self, message: str, violations: Sequence[Violation], hint: str = "") -> None:
        super().__init__(message, hint)
        self.violations = tuple(violations)
        self.listing = LISTING

    def lines(self, width: int | None = None) -> list[str]:
        return self._lines(self.violations, width)

    def _lines(self, violations: Sequence[Violation], width: int | None) -> list[str]:
        head = super().lines(width)
        split = next(
            (at for at, each in enumerate(head) if self.hint and each.startswith("hint: ")), len(head)
        )
        return [*head[:split], *told(violations, self.listing, width), *head[split:]]


class SpecError(_Findings):
    """Input that is not valid; nothing was asked of the engine.

    :param violations: every fault, each a :class:`Violation`.
    """


class ManifestError(SpecError):
    """A manifest that cannot be read or holds faults."""


class SkillNotFound(SkillError):
    """No manifest in reach has a skill of that name."""


class PolicyError(_Findings):
    """The policy refuses the run; nothing was asked of the engine.

    :param violations: every reason, each a :class:`Violation`.
    :param details: where each of the violations is told. Where this is said, the message has the gravest of
        them, and the lines are three: the message, the hint, and this.
    """

    def __init__(
        self, message: str, violations: Sequence[Violation], hint: str = "", *, details: str = ""
    ) -> None:
        super().__init__(message, violations, hint)
        self.details = details

    def lines(self, width: int | None = None) -> list[str]:
        """The error as the few lines that a person reads.

        :param width: columns of a line; ``None``: as long as they are.
        """
        if not self.details:
            # The hint says the command that asks for the grants; it need not stand behind each of them.
            return self._lines(without_offer(self.violations) if self.hint else self.violations, width)
        return [*SkillError.lines(self, width), *wrap(line(self.details), width, "  ")]

    @property
    def liftable(self) -> bool:
        """Whether grants can lift every violation."""
        return all(violation.liftable for violation in self.violations)


class EngineError(SkillError):
    """The Docker engine refused a request or is not to be had."""


class EngineUnavailable(EngineError):
    """No engine can be reached.

    :param problem: one of ``no-client``, ``no-daemon``, ``no-permission``, ``no-context``, ``no-answer``.
    """

    def __init__(self, message: str, hint: str = "", *, problem: str = "no-daemon") -> None:
        super().__init__(message, hint)
        self.problem = problem


class EngineLost(EngineError):
    """The engine stopped answering in the middle of a run."""


class ImageError(EngineError):
    """An image cannot be had.

    :param problem: one of ``unreachable``, ``unknown``, ``denied``, ``rate-limit``, ``no-space``, ``platform``,
        ``not-local`` (pull forbidden by the caller), ``stopped``, ``failed``.
    """

    def __init__(self, message: str, hint: str = "", *, problem: str = "failed") -> None:
        super().__init__(message, hint)
        self.problem = problem


class GpuUnavailable(EngineError):
    """The skill wants a GPU and the engine has no support for one."""


class RunError(SkillError):
    """The tool was started and did not succeed. ``result`` holds all that is known of the run.

    :param result: the :class:`RunResult`.
    """

    def __init__(self, message: str, hint: str = "", *, result: RunResult, more: Sequence[str] = ()) -> None:
        super().__init__(message, hint, more=more)
        self.result = result


class SkillFailed(RunError):
    """The tool ended with an exit code other than 0."""


class SkillKilled(RunError):
    """The tool was killed: out of memory, or by somebody else."""


class SkillTimeout(RunError):
    """The run took longer than its ``--timeout``."""


class SkillStopped(RunError):
    """The run was stopped by a person, with Stop or the ``stop()`` of its handle. Raised where nobody waits in the
    foreground: by ``wait()`` of a handle, in a thread, in a worker process. In the main thread a stop is a
    :class:`SkillInterrupted`."""


class SkillInterrupted(_Told, KeyboardInterrupt):
    """A person stopped the run that the main thread waited for; ``result`` holds what is known of it.

    A :class:`KeyboardInterrupt` and no ``Exception``, so that ``except Exception`` in a loop does not swallow it. Sent
    to another process, it arrives as :class:`SkillStopped`.

    :param result: the :class:`RunResult`.
    """

    def __init__(self, message: str, hint: str = "", *, result: RunResult, more: Sequence[str] = ()) -> None:
        super().__init__(message, hint, more=more)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (SkillStopped, self.args), self._facts()

    def __copy__(self) -> SkillInterrupted:
        return self._again(self._facts())

    def __deepcopy__(self, memo: dict[int, Any]) -> SkillInterrupted:
        return self._again(copy.deepcopy(self._facts(), memo))

    def _again(self, facts: dict[str, Any]) -> SkillInterrupted:
        other = _restored(SkillInterrupted, self.args)
        other.__dict__.update(facts)
        assert isinstance(other, SkillInterrupted)  # noqa: S101  (as asked for)
        return other
