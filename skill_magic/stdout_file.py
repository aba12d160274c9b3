"""``--stdout FILE``: a tool's standard output, byte for byte, as a file of the notebook's directory.

It is written under another name beside it and gets its own only when the run has ended well: a reader never finds half
of it, and what was there before stays where the run fails. The tool can write to the same folder meanwhile. So no link
is followed, the folder is held open, and at the end both the folder and the file must still be what was opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .files import FileChange, FileRefusedError
from .foreign import line
from .mounts.guards import GuardsError, complete, run_later
from .mounts.mounts import project_mount
from .policy.paths import Judge
from .policy.protected import below, fold
from .policy.protected_later import guarded

if TYPE_CHECKING:
    from .events import Finished
    from .host import Host
    from .spec import RunSpec

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXAMPLE = "name a file in the notebook's directory, such as --stdout out.txt"


def opened(name: str, spec: RunSpec, host: Host, *, whatever_exit_code: bool = False) -> StdoutFile:
    """The file ``name`` of the notebook's directory, ready to be written.

    :raises FileRefusedError: it may not, or cannot, be written.
    """
    parts = _parts(host.directory, name)
    folder = _folder(host.directory, parts)
    try:
        _before(folder, parts)
    except OSError as error:
        raise _unwritable(name, error) from None
    finally:
        os.close(folder)
    _refuse_guarded(host, spec, host.directory.joinpath(*parts))
    return StdoutFile(host.directory, parts, whatever_exit_code=whatever_exit_code)


class StdoutFile:
    """One file that is being written. Ends with :meth:`keep` or :meth:`discard`.

    :param parts: the steps from ``directory`` to it.
    :param whatever_exit_code: the caller takes no exit code for a failure (``--no-raise``).
    """

    def __init__(self, directory: Path, parts: tuple[str, ...], *, whatever_exit_code: bool = False) -> None:
        self.name = "/".join(parts)
        self.whatever_exit_code = whatever_exit_code
        self.size = 0
        self.error = ""
        """Why it could not be written, empty as long as it can."""
        self.kept = False
        self._directory = directory
        self._parts = parts
        self._draft = f".{secrets.token_hex(8)}.skill-stdout"
        self._file = -1
        self._folder = _folder(directory, parts)
        try:
            self._mode = _before(self._folder, parts)
            self._file = os.open(self._draft, _DRAFT, 0o666, dir_fd=self._folder)
        except OSError as error:
            os.close(self._folder)
            raise _unwritable(self.name, error) from None
        except BaseException:
            os.close(self._folder)
            raise

    @property
    def existed(self) -> bool:
        """Whether a file of that name was there before."""
        return self._mode is not None

    def write(self, data: bytes) -> None:
        """Take what the tool wrote. Never raises: :attr:`error` says why nothing more is taken."""
        if self.error or self._file < 0:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            self._fail(error)
            return
        self.size += len(data)

    def keep(self) -> None:
        """Give it its name, in place of what is there. Never raises, see :attr:`error`."""
        if self.error or self._file < 0:
            return
        try:
            if self._mode is not None:
                os.fchmod(self._file, self._mode)
            os.fsync(self._file)  # an error that comes late is still one of this run
            self._compare()
            os.replace(self._draft, self._parts[-1], src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except (OSError, FileRefusedError) as error:
            self._fail(error)
            return
        self.kept = True
        self._close()

    @property
    def change(self) -> FileChange:
        """It as a file of the run."""
        return FileChange(self.name, "changed" if self.existed else "created", self.size)

    def settle(self, end: Finished) -> tuple[Finished, str]:
        """Keep it or not, as the run has ended: the end of the run then (a file that cannot be written fails it), and
        what to say where there is no file though a run ended as it did."""
        by_itself = end.state == "failed" and bool(end.exit_code) and not end.error
        if end.state == "finished" or (by_itself and self.whatever_exit_code):
            self.keep()
        if self.error:
            return end if end.state == "lost" else replace(end, state="failed", error=self.error), ""
        if self.kept:
            return end, ""
        self.discard()
        way = "; --no-raise writes it whatever the exit code" if by_itself else ""
        left = "is as it was before" if self.existed else "was not written"
        return end, f"{line(self.name)} {left}: it takes the output of a run that ends well{way}"

    def discard(self) -> None:
        """Leave nothing of it, unless it has been kept."""
        if self._file < 0:
            return
        with contextlib.suppress(OSError):
            if self._is_ours():
                os.unlink(self._draft, dir_fd=self._folder)
        self._close()

    def _fail(self, error: OSError | FileRefusedError) -> None:
        why = error.strerror if isinstance(error, OSError) else error.message
        self.error = line(f"standard output could not be written to {self.name}: {why}")
        self.discard()  # at once: the disk may be full of it

    def _close(self) -> None:
        file, self._file = self._file, -1
        os.close(file)
        os.close(self._folder)

    def _is_ours(self) -> bool:
        """Whether what has the other name is still the file that was opened."""
        there = os.stat(self._draft, dir_fd=self._folder, follow_symlinks=False)
        return os.path.samestat(there, os.fstat(self._file))

    def _compare(self) -> None:
        """:raises OSError: the tool, or somebody else, has put other things in the place of ours."""
        folder = _folder(self._directory, self._parts)
        try:
            same = os.path.samestat(os.fstat(folder), os.fstat(self._folder))
        finally:
            os.close(folder)
        if not (same and self._is_ours() and os.fstat(self._file).st_size == self.size):
            raise OSError(errno.ESTALE, "it was changed while it was written")


def _parts(directory: Path, name: str) -> tuple[str, ...]:
    """The steps from ``directory`` to the file ``name``."""
    for start in (str(directory), os.path.realpath(directory)):
        if os.path.isabs(name) and name.startswith(start.rstrip("/") + "/"):
            name = name[len(start) :].lstrip("/")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if os.path.isabs(name) or ".." in parts or "\0" in name:
        raise FileRefusedError("stdout-outside", f"{name!r} is not in the notebook's directory", _EXAMPLE)
    if not parts or name.endswith(("/", "/.")):
        raise FileRefusedError("stdout-type", f"{name!r} is a folder", _EXAMPLE)
    return parts


def _refuse_guarded(host: Host, spec: RunSpec, path: Path) -> None:
    """:raises FileRefusedError: for what the host runs later, and for what is hidden from tools: its content would be
    a tool's words."""
    judge = Judge(host)
    files = (spec.file,) if spec.file is not None and spec.origin == "project" else ()
    try:
        guards = complete([project_mount(host)], host, files=files, judge=judge)[1:]
    except GuardsError as error:
        raise FileRefusedError(
            "stdout-guarded", f"{path.name!r} is not written: {error}", error.fix
        ) from None
    name = os.path.relpath(path, host.directory)
    places = [each.declared for each in guards if each.read_only]
    places += run_later(host, files, str(path), judge)
    found = next((place for place in places if below(fold(str(path)), fold(place))), None)
    if found is None and any(guarded(fold(part)) for part in name.split("/")):
        found = str(path)
    if found is None and judge.hit(str(path), str(path)) is not None:
        found = str(path)
    if found is not None:
        shown = os.path.relpath(found, host.directory)
        raise FileRefusedError(
            "stdout-guarded",
            f"{name!r} is not written: {shown} is kept from tools, or run by this machine later",
            "choose another name, and move the file once you have looked at it",
        )


def _folder(directory: Path, parts: tuple[str, ...]) -> int:
    """Open the folder that the file is in, through no link below ``directory``."""
    name = "/".join(parts)
    at = -1
    try:
        at = os.open(directory, _FOLDER)
        for part in parts[:-1]:
            _expect(os.stat(part, dir_fd=at, follow_symlinks=False), name, part, folder=True)
            above, at = at, os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(above)
    except BaseException as error:
        if at >= 0:
            os.close(at)
        if isinstance(error, FileNotFoundError):
            raise FileRefusedError(
                "stdout-missing", f"the folder of {name!r} does not exist", "make it first"
            ) from None
        if isinstance(error, OSError):
            raise _unwritable(name, error) from None
        raise
    return at


def _before(folder: int, parts: tuple[str, ...]) -> int | None:
    """The rights of the file that is there, ``None`` where there is none.

    :raises FileRefusedError: it may not be replaced. :raises OSError: it cannot be.
    """
    try:
        facts = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    _expect(facts, "/".join(parts), parts[-1], folder=False)
    if not os.access(parts[-1], os.W_OK, dir_fd=folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(facts.st_mode) & 0o777


def _expect(facts: os.stat_result, name: str, part: str, *, folder: bool) -> None:
    if stat.S_ISLNK(facts.st_mode):
        raise FileRefusedError(
            "stdout-link", f"{name!r} is not written: {part!r} is a link", "write the path without the link"
        )
    if not (stat.S_ISDIR(facts.st_mode) if folder else stat.S_ISREG(facts.st_mode)):
        kind = "folder" if folder else "regular file"
        raise FileRefusedError("stdout-type", f"{name!r} is not written: {part!r} is no {kind}", _EXAMPLE)


def _unwritable(name: str, error: OSError) -> FileRefusedError:
    return FileRefusedError(
        "stdout-unwritable", f"{name!r} cannot be written: {error.strerror}", "choose another name or folder"
    )
