"""Watchdog: takes away a process's containers when that process is gone, however it went.

Run as a script of its own, in a session of its own, with nothing but the standard library::

    python -I -S watchdog.py '{"url": "unix:///var/run/docker.sock", "tls": "", "verify": "", "label":
    "skill-magic.session=…"}'

Standard input is a pipe whose other end only the watched process holds. Its first line is the key by which that
process signs its containers' labels (see ``ownership.py``), in hexadecimal digits; it is not in the arguments, which
everybody on the machine can read. The end of the pipe says that the process is gone; a ``q`` before it says that
nothing needs to be done. The modules that talk to an engine are imported only then, so that an idle watchdog stays
small.
"""

import contextlib
import os
import select
import sys

TYPE_CHECKING = False  # the typing module costs more than the rest of this file together
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

ROUNDS = (0.0, 0.1, 0.3, 0.5, 0.6, 0.7)
"""Pauses in seconds before each look at the engine. More than one look: a request to create a container that
the dead process had sent may take effect after the first. Together they stay below the five seconds that are
promised."""

LIFETIME = 4.5
"""Seconds after the process's end when the watchdog itself is gone, whatever the engine does."""


def main(argument: str) -> None:
    """Wait for the end of the pipe, then clean up."""
    parent = os.getppid()
    key = first_line(0)
    if not wait(0, parent):
        return
    import json
    import time

    task = json.loads(argument) | {"key": key}

    deadline = time.monotonic() + LIFETIME
    for pause in ROUNDS:
        time.sleep(pause)
        with contextlib.suppress(Exception):
            clean(task, lambda: deadline - time.monotonic())


def first_line(pipe: int) -> str:
    """What stands before the first line end; all there is where the writer is gone before it."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(pipe, 1)):
        line += byte
    return line.decode().rstrip("\n")


SIGNED = (
    "session",
    "pid",
    "pid-start",
    "pid-ns",
    "boot-id",
    "user",
    "skill",
    "image",
    "image-id",
    "keep",
    "rm",
    "directory",
)
"""The labels that the signature of a container covers, without their common beginning."""


def signature(key: bytes, container: str, labels: "Mapping[str, str]") -> str:
    """The value of the label ``skill-magic.signature``: HMAC-SHA256 of the container's name and :data:`SIGNED`."""
    import hashlib
    import hmac
    import json

    values = [container, *(labels.get(f"skill-magic.{name}", "") for name in SIGNED)]
    return hmac.new(key, json.dumps(values).encode(), hashlib.sha256).hexdigest()


def is_signed(key: bytes, container: str, labels: "Mapping[str, str]", image: str) -> bool:
    """Whether the container of this name was made with these labels by a holder of ``key``.

    :param image: the id of its image. What ``docker commit`` made of a container has all its labels and, once that is
        gone, can have its name; but it is another image, and none can know its own id.
    """
    import hmac

    if labels.get("skill-magic.image-id", "") != image.removeprefix("sha256:") or not image:
        return False

    given = labels.get("skill-magic.signature", "")
    return bool(key) and hmac.compare_digest(given.encode(), signature(key, container, labels).encode())


def wait(pipe: int, parent: int) -> bool:
    """Wait until the watched process is gone; whether its containers are to be taken away.

    A child that the process forked without exec may hold the pipe open after it, so its pid is watched as
    well.
    """
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    timeout = None
    try:
        poll.register(os.pidfd_open(parent), select.POLLIN)
    except (AttributeError, OSError):
        timeout = 1000.0  # milliseconds; no pidfd here: look whether we were given another parent
    while True:
        ready = [number for number, _ in poll.poll(timeout)]
        if pipe in ready:
            return not os.read(pipe, 1)
        if ready or os.getppid() != parent:
            return True


def clean(task: dict[str, str], left: "Callable[[], float]") -> None:
    """Remove every container of the session with its anonymous volumes; those to be kept are left, or only
    stopped.

    :param left: the seconds that are left for it.
    """
    import json
    import urllib.parse

    filters = urllib.parse.quote(json.dumps({"label": [task["label"]]}))
    for container in json.loads(
        call(task, left(), "GET", f"/containers/json?all=1&filters={filters}") or b"[]"
    ):
        labels = container.get("Labels") or {}
        names = [name.removeprefix("/") for name in container.get("Names") or ()]
        # An image, and so a container of somebody else's, can have any label of ours but the right signature.
        image = str(container.get("ImageID") or "")
        if not any(is_signed(bytes.fromhex(task["key"]), name, labels, image) for name in names):
            continue
        if labels.get("skill-magic.keep") == "true":
            continue
        with contextlib.suppress(Exception):
            if labels.get("skill-magic.rm") == "false":
                if container.get("State") == "running":
                    call(task, left(), "POST", f"/containers/{container['Id']}/kill")
            else:
                call(task, left(), "DELETE", f"/containers/{container['Id']}?force=1&v=1")


def call(task: dict[str, str], seconds: float, method: str, path: str) -> bytes:
    """One request to the engine. It goes on with a request of which it is not asked the answer any more."""
    import http.client
    import socket

    if seconds <= 0:
        raise TimeoutError
    connection: Any
    url = task["url"]
    if url.startswith("unix://"):
        connection = http.client.HTTPConnection("localhost", timeout=seconds)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(seconds)
        connection.sock.connect(url.removeprefix("unix://"))
    else:
        address = url.split("://", 1)[1]
        if task["tls"]:
            import ssl

            if task["verify"]:
                context = ssl.create_default_context(cafile=os.path.join(task["tls"], "ca.pem"))
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.load_cert_chain(
                os.path.join(task["tls"], "cert.pem"), os.path.join(task["tls"], "key.pem")
            )
            connection = http.client.HTTPSConnection(address, timeout=seconds, context=context)
        else:
            connection = http.client.HTTPConnection(address, timeout=seconds)
    try:
        connection.request(method, path)
        body: bytes = connection.getresponse().read()
        return body
    finally:
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
