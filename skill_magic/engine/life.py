"""Life: what is done with one container, in order; each step can fail, and none leaves anything behind.

    image → gates → create → compare → attach → start → drain → wait → inspect → remove with volumes

Never the engine's own automatic removal: the reason why a container died must still be there to be read.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import EngineError, EngineLost, PolicyError
from ..events import Finished, Note, Output, Started
from . import image_links, images, neighbours, passwd, session, unstarted
from .channel import Channel
from .ending import exit_code_of, finished, seconds
from .failures import explain, translate, unknown_user, without_values
from .gates import check_made
from .removal import remove, remove_later, remove_named
from .stream import Attachment, Response
from .watch import Watch

if TYPE_CHECKING:
    from ..host import Host
    from ..spec import ImageFacts, RunSpec
    from .connect import Engine
    from .stopper import Stopper

__all__ = ["Life"]

WAIT = 5.0
"""Seconds of one call that waits for the tool's end; then the next, so that a lost engine is noticed in
between."""

KILLED = 128 + signal.SIGKILL

NOTE = 0.3
"""Seconds that an engine may need to note why the kernel killed a tool."""

THIS_MACHINE = "host.docker.internal:host-gateway"

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
        self._broken_input = ""
        self._unread = False
        self._said = b""  # the start of standard error
        self._reason = ""
        self._check_image = check_image
        self._streams: list[Attachment | Response] = []
        self._lost: EngineLost | None = None
        self._watch = Watch(engine, self)

    def lead(self) -> None:
        """Lead it to its end. Raises what the consumer is to be told instead of an end."""
        self._watch.start()
        failure: Exception | None = None
        try:
            self._lead()
        except Exception as error:
            failure = self._lost if isinstance(error, EngineLost) and self._lost is not None else error
        finally:
            self.ended.set()
            self.over = True
            self._watch.stop()
        if failure is not None:
            raise without_values(failure, self._concealed)

    def lose(self, error: EngineLost) -> None:
        """The engine does not answer: tell the consumer at once, whatever the life's own thread is waiting
        for."""
        self._lost = error
        self.channel.close(error)
        self.ended.set()
        for stream in self._streams:
            stream.close()

    @cached_property
    def _concealed(self) -> tuple[str, ...]:
        """What no text of the engine may say of this run."""
        from ..policy.redact import concealed

        return concealed(self.spec, self.host)

    def _tell(self, event: Note | Finished) -> None:
        """Hand on an event with words in it, some of which may be the engine's."""
        from ..policy.redact import hide_values

        if isinstance(event, Note):
            event = replace(event, text=hide_values(event.text, self._concealed))
        else:
            reason = hide_values(event.reason, self._concealed)
            event = replace(event, error=hide_values(event.error, self._concealed), reason=reason)
        self.channel.put(event)

    def _lead(self) -> None:
        for note in self.spec.notes:
            self._tell(Note(note))
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
            if not self._stopping():
                raise
            self._finish(None)
            return
        if self._check_image is not None:
            self._check_image(facts)
        if said := unstarted.note(self.engine, self.spec, facts):
            self._tell(Note(said))
        passwd.check_files(self.engine, self.spec, self.host, facts)  # first: see there
        image_links.check(self.engine, self.spec, self.host, facts)
        spec = passwd.with_numbers(self.engine, self.spec, self.host, facts)
        spec = passwd.with_entry(self.engine, spec, self.host, facts)
        if self._stopping():
            self._finish(None)
            return
        session.current().protect(self.engine)
        body = self._body(spec, facts)
        state: Mapping[str, Any] | None = None
        try:
            with translate("create the container"):
                answer = self.engine.api.create_container_from_config(body, self.name, self.spec.platform)
            self.container = answer["Id"]
            check_made(self.engine, self._inspect(), body, facts, self.spec, self.host)
            if not self._stopping():
                state = self._live(facts)
                code = int(state.get("ExitCode") or 0)
                self._reason = unstarted.look(
                    self.engine, self.container, self.spec, self.host, facts, code, self._said
                )
        finally:
            self.ended.set()
            # What has run may be kept; what was never started, or failed on the way, never.
            if (self.spec.remove and not self.keep) or not (state or {}).get("StartedAt"):
                self._remove()
        self._finish(state)

    def _body(self, spec: RunSpec, facts: ImageFacts) -> dict[str, Any]:
        from .arguments import create_body

        labels = session.current().labels(spec, self.host, self.name, facts.id, keep=self.keep)
        try:
            body = create_body(spec, facts, name=self.name, labels=labels)
        except ValueError as error:
            # The policy has let something through that no request can hold; nothing is made of it.
            raise EngineError(f"nothing was started: {error}") from error
        if self.engine.podman:
            # It gives this name by itself, and before 4.7 it does not know the word.
            hosts = body["HostConfig"]["ExtraHosts"]
            body["HostConfig"]["ExtraHosts"] = [host for host in hosts if host != THIS_MACHINE]
        if self.keep:
            # Somebody else is to read what it writes, so the engine must keep it; bounded.
            driver = "k8s-file" if self.engine.podman else "local"
            body["HostConfig"]["LogConfig"] = {
                "Type": driver,
                "Config": {} if self.engine.podman else KEPT_LOG,
            }
        return body

    def _live(self, facts: ImageFacts) -> Mapping[str, Any]:
        from ..mounts.mounts import recheck

        assert self.container is not None  # noqa: S101 - it was just created
        try:
            with self._starting("attach to"):
                # Over TLS one connection can neither be closed by half nor be used by two threads at once.
                apart = self.spec.stdin and self.engine.address.tls is not None
                feed = output = Attachment(
                    self.engine.api, self.container, stdin=self.spec.stdin and not apart
                )
                self._streams.append(output)
                if apart:
                    feed = Attachment(self.engine.api, self.container, stdin=True, output=False)
                    self._streams.append(feed)
            with neighbours.held(self.engine, self.spec, self.host):
                recheck(self.spec)
                self._places(facts)
                since = time.time()
                with self._starting("start"):
                    self.engine.api.start(self.container)
                recheck(self.spec, started=True)
            self.started = time.monotonic()
            self.running.set()
            self.channel.put(Started(self.container, self.name, facts.id, facts.digest, time.time(), since))
            if self.spec.stdin:
                self._feed(feed)
            self._tell_of_others()
            self._drain(output.outputs())
            state = self._wait()
            self._tell_of_others()
            return state
        except _NotStartedError as error:
            return {"ExitCode": error.exit_code, "Error": str(error)}
        finally:
            self.ended.set()
            for stream in self._streams:
                stream.close()

    def _places(self, facts: ImageFacts) -> None:
        """:raises PolicyError: a place that a mount or the working directory needs is gone since the check."""
        from ..policy.rules import check_places

        if self.engine.local and (found := check_places(self.spec, self.host, facts)):
            raise PolicyError(f"{self.spec.skill}: a folder changed under our hands", found)

    def _tell_of_others(self) -> None:
        """Asked at the start and at the end; who comes and goes between the two is in the table of runs."""
        for other in neighbours.beside(self.engine, self.spec, self.name):
            self.channel.put(other)

    @contextlib.contextmanager
    def _starting(self, doing: str) -> Iterator[None]:
        """Errors of a program that cannot be executed; Podman tells them when one attaches already."""
        import docker.errors

        with translate(f"{doing} the container"):
            try:
                yield
            except docker.errors.APIError as error:
                if unknown := unknown_user(explain(error), self.spec):
                    raise unknown from error
                code = exit_code_of(explain(error))
                if code is None:
                    raise
                raise _NotStartedError(explain(error), code) from error

    def _feed(self, attachment: Attachment) -> None:
        def work() -> None:
            try:
                attachment.send(self._stdin)
            except BaseException as error:  # a file of the caller's: whatever its `read` raises
                if self.ended.is_set():
                    # A caller's stream is told of by the caller.
                    self._unread = isinstance(self._stdin, bytes)
                    return
                # Half an input must not pass for a whole one: the tool is stopped before it sees an end.
                self._broken_input = f"the input broke off: {str(error) or type(error).__name__}"
                self.stopper.stop("failed")

        name = f"skill-magic-stdin-{self.name}"
        threading.Thread(target=work, name=name, daemon=True).start()

    def _drain(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            self.heard = time.monotonic()
            self.channel.put(output)
            if output.stream == "stderr" and len(self._said) < unstarted.SAID:
                self._said += output.data[: unstarted.SAID]
        self._watch.last_sample()

    def _wait(self) -> Mapping[str, Any]:
        """Wait for the tool's end; the engine's last state of it."""
        import requests

        with translate("wait for the tool's end"):
            # A tool may close its streams and go on; mostly they are closed because it has ended.
            while (state := self._inspect()["State"]).get("Running"):
                if self._lost is not None:
                    raise self._lost
                try:
                    self.engine.api.wait(self.container, timeout=WAIT)
                except requests.exceptions.ReadTimeout:
                    continue
                except requests.ConnectionError as error:
                    # urllib3 tells a timeout while reading the body as a broken connection.
                    if "timed out" not in str(error).lower():
                        raise
            state = dict(state)
            if state.get("ExitCode") == KILLED and self.stopper.reason is None:
                state["OOMKilled"] = state.get("OOMKilled") or self._ran_out_of_memory(state)
            return state

    def _ran_out_of_memory(self, state: Mapping[str, Any]) -> bool:
        """Whether the engine has noted that the kernel killed for want of memory. Its note can come later
        than the end itself, and is then missing in the state but among the events."""
        filters = {"container": [self.container], "event": ["oom"]}
        # By the engine's clock, which is not ours.
        since, until = seconds(state.get("StartedAt")) - 1, seconds(state.get("FinishedAt")) + NOTE
        params = {"since": f"{since:.3f}", "until": f"{until:.3f}", "filters": json.dumps(filters)}
        response = Response(self.engine.api, "GET", "/events", params)
        try:
            return any(event.get("status") == "oom" for event in response.objects())
        finally:
            response.close()

    def _finish(self, state: Mapping[str, Any] | None) -> None:
        """Tell the end; ``None``: of a tool that was stopped before it was started."""
        if state is None:
            assert self.stopper.state is not None  # noqa: S101 - that is why
            words = "stopped before the tool was started"
            self._tell(Finished(self.stopper.state, None, 0.0, time.time(), words))
            return
        end = finished(state, self.stopper.reason)
        if self._broken_input and end.state in ("finished", "failed"):
            end = replace(end, state="failed", error=end.error or self._broken_input)
        if end.state == "failed":
            end = replace(end, reason=self._reason)
        if state.get("OOMKilled") and end.state == "finished":
            self._tell(Note("a process of the tool was killed for want of memory, but the tool went on"))
        if self._unread and end.state == "finished":
            self._tell(Note("the tool ended before it had read all of its input"))
        if harsher := self.stopper.harsher:
            self._tell(Note(harsher))
        dropped = self.channel.dropped()
        if dropped is not None:
            self.channel.put(dropped)
        self._tell(end)

    def _stopping(self) -> bool:
        """Whether to go no further."""
        if self._lost is not None:
            raise self._lost  # it answers again, but nobody waits for the tool any more
        return self.stopper.state is not None

    def _inspect(self) -> Mapping[str, Any]:
        with translate("inspect the container"):
            found: Mapping[str, Any] = self.engine.api.inspect_container(self.container)
        return found

    def _remove(self) -> None:
        def once() -> bool:
            container = self.container
            return (
                remove_named(self.engine, self.name) if container is None else remove(self.engine, container)
            )

        try:
            gone = self._lost is None and once()
        except EngineError:
            gone = False
        if not gone:
            remove_later(once, self.name)


class _NotStartedError(Exception):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _name(skill: str) -> str:
    readable = re.sub(r"[^a-zA-Z0-9_.-]+", "-", skill).strip("-.")[:40] or "skill"
    return f"skill-{readable}-{uuid.uuid4().hex[:8]}"
