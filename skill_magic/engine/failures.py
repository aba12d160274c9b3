"""What docker-py and the socket below it raise → our errors, with the engine's own words in them."""

from __future__ import annotations

import contextlib
import errno
import re
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import EngineError, EngineLost, PolicyError, SkillError, SpecError

if TYPE_CHECKING:
    from ..spec import RunSpec

__all__ = ["explain", "os_error", "silent", "translate", "unknown_user", "without_values"]


def _below(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    stack: list[object] = [error]
    while stack:
        item = stack.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            stack += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]


def explain(error: BaseException) -> str:
    """The engine's own words, without docker-py's "500 Server Error for http+docker://…" around them."""
    words = getattr(error, "explanation", None)
    if isinstance(words, bytes):
        words = words.decode("utf-8", "replace")
    text = str(words or error).strip()
    return text.removeprefix("Error response from daemon: ")


def os_error(error: BaseException) -> OSError | None:
    """The operating system's error at the bottom of a requests or urllib3 exception, which wrap it several
    deep."""
    for item in _below(error):
        # requests' own exceptions are OSErrors too, without an errno; OpenSSL's are, with one of its own.
        if isinstance(item, OSError) and isinstance(item.errno, int) and not isinstance(item, ssl.SSLError):
            return item
    return None


def tls_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS library's error below a requests or urllib3 exception."""
    return next((item for item in _below(error) if isinstance(item, ssl.SSLError)), None)


def silent(error: BaseException) -> bool:
    """Whether ``error`` says that the engine does not answer, rather than that it said no."""
    import docker.errors
    import requests

    if isinstance(error, docker.errors.APIError):
        return False
    if isinstance(
        error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    ):
        return True
    found = os_error(error)
    return found is not None and found.errno in {
        errno.ENOENT,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EPIPE,
        errno.ETIMEDOUT,
        errno.ENOTCONN,
    }


@contextlib.contextmanager
def translate(doing: str) -> Iterator[None]:
    """Turn what docker-py raises in the body into ours.

    :param doing: what was asked ("create the container"), for the message.
    :raises EngineLost: the engine did not answer; :raises EngineError: it refused.
    """
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"the engine could not {doing}: {explain(error)}") from error
    except (requests.RequestException, docker.errors.DockerException, OSError) as error:
        raise lost(error) from error


def lost(error: BaseException | None = None) -> EngineLost:
    """The error for an engine that stopped answering; ``error`` is what told us so."""
    found = os_error(error) if error is not None else None
    why = f" ({found.strerror})" if found is not None and found.strerror else ""
    return EngineLost(
        f"the Docker engine stopped answering{why}",
        "see whether it still runs (`docker info`); what is left of the run is removed when it is back",
    )


def unknown_user(words: str, spec: RunSpec) -> PolicyError | None:
    """The error where the engine's words say that the image lacks the user or group of ``spec.user``.

    By the words of moby/sys/user ``GetExecUser``, which Docker's and Podman's runtimes hand on.
    """
    found = re.search(r"unable to find (?:user|group) ([^\s:]+)", words)
    if found is None or spec.user is None or found[1] not in spec.user.split(":"):
        return None
    from ..findings import Violation

    field = spec.user_field or "user"
    violation = Violation(
        "user-unknown",
        field,
        spec.user,
        "The image knows no such user or group.",
        "Write uid:gid, or leave user out to run as yourself.",
        file=None if field.startswith("-") else spec.file,
        line=spec.line_of(field),
        kind="invalid",
    )
    return PolicyError(f"{spec.skill}: the policy refuses this run", [violation])


def without_values(error: Exception, values: Sequence[str]) -> Exception:
    """``error`` as it may leave a run: the engine quotes paths and variables, and some are secrets of the host.

    Where there are ``values`` to hide, what it was caused by goes as well: it has the same words in it.
    """
    from ..policy.redact import hide_values, violation

    if not values:
        return error
    if not isinstance(error, SkillError):
        return EngineError(hide_values(f"{type(error).__name__}: {error}", values))
    error.message = hide_values(error.message, values)
    error.hint = hide_values(error.hint, values)
    error.args = tuple(hide_values(each, values) if isinstance(each, str) else each for each in error.args)
    if isinstance(error, SpecError | PolicyError):
        error.violations = tuple(violation(each, values) for each in error.violations)
    error.__cause__ = error.__context__ = None
    return error
