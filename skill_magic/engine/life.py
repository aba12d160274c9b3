"""Life: what is done with one container, in order; each step can fail, and none leaves anything behind.

    image → gates → create → compare → attach → start → drain → wait → inspect → remove with volumes

Never the engine's own automatic removal: the reason why a container died must still be there to be read.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import EngineError, EngineLost, PolicyError
from ..events import Finished, Note, Started, State
from ..findings import Violation
from . import images, passwd, session
from .channel import Channel
from .failures import explain, translate
from .stream import Attachment
from .watch import Watch

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine
    from .stopper import Stopper

__all__ = ["Life", "ended_state"]

WAIT = 5.0
"""Seconds of one call that waits for the tool's end; then the next, so that a lost engine is noticed in
between."""

REMOVAL = 600.0
"""Seconds during which a container that could not be removed (the engine was away) is tried again."""

KEPT_LOG = {"max-size": "20m", "max-file": "2"}


class Life:
    """One container's life. ``lead`` is called once, in a thread of its own."""

    stopper: Stopper

    def __init__(
        self,
        engine: Engine,
        spec: RunSpec,
        host: Host,
        *,
        stdin: bytes | BinaryIO | None,
        check_image: Callable[[ImageFacts], None] | None,
        keep: bool,
    ) -> None:
        self.engine = engine
        self.spec = replace(spec, stdin=True) if stdin is not None and not spec.stdin else spec
        self.host = host
        self.keep = keep
        self.name = _name(spec.skill)
        self.channel = Channel()
        self.container: str | None = None
        self.running = threading.Event()
        self.ended = threading.Event()
        self.over = False
        self.started = 0.0  # by the monotonic clock, as is
        self.heard = 0.0  # the last sign of life of the engine
        self._stdin: bytes | BinaryIO = b"" if stdin is None else stdin
        self._check_image = check_image
        self._attachment: Attachment | None = None
        self._input: Attachment | None = None
        self._lost: EngineLost | None = None
        self._watch = Watch(engine, self)

    def lead(self) -> None:
        """Lead it to its end. Raises what the consumer is to be told instead of an end."""
        self._watch.start()
        try:
            self._lead()
        except EngineLost as error:
            raise self._lost or error from error
        finally:
            self.ended.set()
            self.over = True
            self._watch.stop()

    def lose(self, error: EngineLost) -> None:
        """The engine does not answer: tell the consumer at once, whatever the life's own thread is waiting
        for."""
        self._lost = error
        self.channel.close(error)
        self.ended.set()
        for attachment in (self._attachment, self._input):
            if attachment is not None:
                attachment.close()

    def _lead(self) -> None:
        for note in self.spec.notes:
            self.channel.put(Note(note))
        if self.spec.gpus is not None:
            images.require_gpu(self.engine)
        try:
            facts = images.ensure(
                self.engine,
                self.spec.image,
                platform=self.spec.platform,
                pull=self.spec.pull,
                emit=self.channel.put,
                cancelled=lambda: self.stopper.state is not None or self.ended.is_set(),
            )
        except EngineError:
            if self.stopper.state is None:
                raise
            self._never_started()
            return
        if self._check_image is not None:
            self._check_image(facts)
        spec = passwd.with_entry(self.engine, self.spec, self.host, facts)
        if self._stopping():
            return
        session.current().protect(self.engine)
        body = self._body(spec, facts)
        remove = True
        try:
            with translate("create the container"):
                made = self.engine.api.create_container_from_config(body, self.name, self.spec.platform)
            self.container = made["Id"]
            self._compare(body, facts)
            if self._stopping():
                return
            state, last = self._live(facts)
            remove = self.spec.remove and not self.keep
            if remove:
                self._remove()
                remove = False
            self._finish(state, last)
        finally:
            self.ended.set()
            if remove:
                self._remove()

    def _body(self, spec: RunSpec, facts: ImageFacts) -> dict[str, Any]:
        from .arguments import create_body

        labels = session.current().labels(spec, self.host, keep=self.keep)
        try:
            body = create_body(spec, facts, name=self.name, labels=labels)
        except ValueError as error:
            # The policy has let something through that no request can hold; nothing is made of it.
            raise EngineError(f"nothing was started: {error}") from error
        if self.keep:
            # Somebody else is to read what it writes, so the engine must keep it; bounded.
            driver = "k8s-file" if self.engine.podman else "local"
            body["HostConfig"]["LogConfig"] = {
                "Type": driver,
                "Config": {} if self.engine.podman else KEPT_LOG,
            }
        return body

    def _compare(self, body: Mapping[str, Any], facts: ImageFacts) -> None:
        from ..mounts import recheck
        from .verify import differences

        found = self._inspect()
        unlike = list(differences(body, found))
        if found.get("Image") != facts.id:
            unlike.append(f"Image: {facts.id} was looked at, {found.get('Image')} would run")
        if unlike:
            raise PolicyError(
                "the engine made something else than it was asked for; nothing was started",
                [
                    Violation(
                        code="engine-differs",
                        field=text.split(":", 1)[0],
                        value=text,
                        reason="The container that the engine made differs from what was decided.",
                        fix="Run again; if it stays, look at the engine's configuration and plugins.",
                    )
                    for text in unlike
                ],
            )
        recheck(self.spec)

    def _live(self, facts: ImageFacts) -> tuple[State, Mapping[str, Any]]:
        assert self.container is not None  # noqa: S101 - it was just created
        with translate("attach to the container"):
            # Over TLS one connection can neither be closed by half nor be read and written by two threads at
            # once.
            apart = self.spec.stdin and self.engine.address.tls is not None
            self._attachment = Attachment(
                self.engine.api, self.container, stdin=self.spec.stdin and not apart
            )
            self._input = (
                Attachment(self.engine.api, self.container, stdin=True, output=False) if apart else None
            )
        try:
            self._start()
            self.started = time.monotonic()
            self.running.set()
            self.channel.put(Started(self.container, self.name, facts.id, facts.digest, time.time()))
            if self.spec.stdin:
                self._feed(self._input or self._attachment)
            for output in self._attachment.outputs():
                self.heard = time.monotonic()
                self.channel.put(output)
            self._watch.last_sample()
            return self._wait()
        except _NotStartedError as error:
            return "failed", {"ExitCode": error.exit_code, "Error": str(error)}
        finally:
            self.ended.set()
            self._attachment.close()
            if self._input is not None:
                self._input.close()

    def _start(self) -> None:
        import docker.errors

        assert self.container is not None  # noqa: S101 - it was just created
        with translate("start the container"):
            try:
                self.engine.api.start(self.container)
            except docker.errors.APIError as error:
                code = _exit_code_of(explain(error))
                if code is None:
                    raise
                raise _NotStartedError(explain(error), code) from error

    def _feed(self, attachment: Attachment) -> None:
        threading.Thread(
            target=attachment.send, args=(self._stdin,), name=f"skill-magic-stdin-{self.name}", daemon=True
        ).start()

    def _wait(self) -> tuple[State, Mapping[str, Any]]:
        import requests

        code: int | None = None
        with translate("wait for the tool's end"):
            while code is None:
                if self._lost is not None:
                    raise self._lost
                try:
                    code = int(self.engine.api.wait(self.container, timeout=WAIT)["StatusCode"])
                except requests.exceptions.ReadTimeout:
                    continue
                except requests.ConnectionError as error:
                    # urllib3 tells a timeout while reading the body as a broken connection.
                    if "timed out" not in str(error).lower():
                        raise
            state = dict(self._inspect()["State"])
        state.setdefault("ExitCode", code)
        stopped = self.stopper.state if self.stopper.signalled else None
        return ended_state(int(state["ExitCode"]), bool(state.get("OOMKilled")), stopped), state

    def _finish(self, state: State, last: Mapping[str, Any]) -> None:
        started, ended = _seconds(last.get("StartedAt")), _seconds(last.get("FinishedAt"))
        duration = max(ended - started, 0.0) if started and ended else 0.0
        if last.get("OOMKilled") and state == "finished":
            self.channel.put(
                Note("a process of the tool was killed for want of memory, but the tool went on")
            )
        dropped = self.channel.dropped()
        if dropped is not None:
            self.channel.put(dropped)
        self.channel.put(
            Finished(
                state, int(last["ExitCode"]), duration, started or time.time(), str(last.get("Error") or "")
            )
        )

    def _stopping(self) -> bool:
        """Whether to go no further; the consumer is told why."""
        if self._lost is not None:
            raise self._lost  # it answers again, but nobody waits for the tool any more
        if self.stopper.state is None:
            return False
        self._never_started()
        return True

    def _never_started(self) -> None:
        assert self.stopper.state is not None  # noqa: S101 - that is why
        self.channel.put(
            Finished(self.stopper.state, None, 0.0, time.time(), "stopped before the tool was started")
        )

    def _inspect(self) -> Mapping[str, Any]:
        with translate("inspect the container"):
            found: Mapping[str, Any] = self.engine.api.inspect_container(self.container)
        return found

    def _remove(self) -> None:
        try:
            gone = self._lost is None and remove(self.engine, self.container or self.name)
        except EngineError:
            gone = False
        if not gone:
            threading.Thread(
                target=self._remove_later, name=f"skill-magic-remove-{self.name}", daemon=True
            ).start()

    def _remove_later(self) -> None:
        until = time.monotonic() + REMOVAL
        while time.monotonic() < until:
            time.sleep(1.0)
            with contextlib.suppress(EngineError):
                if remove(self.engine, self.container or self.name):
                    return


class _NotStartedError(Exception):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def remove(engine: Engine, container: str) -> bool:
    """Remove a container, running or not, with its anonymous volumes; whether it is gone.

    :raises EngineError: the engine refuses; :raises EngineLost: it does not answer.
    """
    import docker.errors

    for _ in range(100):
        with translate(f"remove the container {container[:12]}"):
            try:
                engine.api.remove_container(container, v=True, force=True)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                # 409: somebody else is removing it, or it is between two states; it is gone in a moment.
                if error.status_code != 409:
                    raise
            else:
                return True
        time.sleep(0.05)
    return False


def ended_state(exit_code: int, out_of_memory: bool, stopped: State | None) -> State:
    """Why a tool ended.

    :param out_of_memory: the engine saw the kernel kill a process of the container for want of memory.
    :param stopped: the reason we gave it a signal, ``None`` where we did not.
    """
    if stopped is not None:
        return stopped
    if exit_code == 0:
        return "finished"
    if out_of_memory:
        return "out-of-memory"
    # 128 + SIGKILL, 128 + SIGTERM: what `docker kill` and `docker stop` of somebody else leave.
    return "killed" if exit_code in (137, 143) else "failed"


def _exit_code_of(words: str) -> int | None:
    # The codes that `docker run` gives (docker/cli, cli/command/container/run.go, runStartContainerErr).
    low = words.lower()
    if "executable file not found" in low or ("exec" in low and "no such file or directory" in low):
        return 127
    if "exec" in low and (
        "permission denied" in low or "is a directory" in low or "exec format error" in low
    ):
        return 126
    return None


def _seconds(text: object) -> float:
    """The engine's time ("2024-01-31T10:00:00.123456789Z") as seconds since the epoch; 0 for its "never"."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return 0.0
    # datetime knows microseconds; engines write nanoseconds, or no fraction at all.
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _name(skill: str) -> str:
    readable = re.sub(r"[^a-zA-Z0-9_.-]+", "-", skill).strip("-.")[:40] or "skill"
    return f"skill-{readable}-{uuid.uuid4().hex[:8]}"
