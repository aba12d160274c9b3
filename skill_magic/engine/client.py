"""Client: docker-py's, made without a look at the person's Docker configuration.

docker-py reads ``config.json`` in its constructor and breaks on much that docker itself takes: an empty ``auth``,
``null``, a byte order mark. Nothing in that file matters for a run of an image that is here; the credentials for
a pull are read by :mod:`skill_magic.engine.credentials` when there is one.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ..host import EngineAddress

__all__ = ["CALL_TIMEOUT", "api_client"]

CALL_TIMEOUT = 120.0
"""Seconds for one call. Long, because a slow disk can hold up a create; a dead engine is found by its own
watch."""


def api_client(address: EngineAddress, **options: Any) -> Any:
    """``docker.APIClient(**options)`` for ``address`` (untyped: so are most of its methods), with an empty
    configuration."""
    import docker
    from docker.auth import AuthConfig

    given: Any = docker.APIClient.__init__
    names = dict(given.__globals__)
    # The constructor's own code, with other readers of the configuration in its reach: to replace them in their
    # module would take the configuration from everybody else's clients in this process.
    names["config"] = _with(names.get("config"), load_general_config=lambda *_, **__: {})
    names["auth"] = _with(names.get("auth"), load_config=lambda *_, **__: AuthConfig({}))
    constructor = types.FunctionType(
        given.__code__, names, given.__name__, given.__defaults__, given.__closure__
    )
    constructor.__kwdefaults__ = given.__kwdefaults__
    return _tuned(type("APIClient", (docker.APIClient,), {"__init__": constructor})(**options), address)


def _with(module: Any, **changes: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{**vars(module), **changes} if module is not None else changes)


def _tuned(client: Any, address: EngineAddress) -> Any:
    import requests

    # Else the environment's REQUESTS_CA_BUNDLE would win over the certificates of the engine, .netrc would be
    # looked through on every call, and a local socket would be asked of a proxy.
    client.trust_env = False
    if address.socket is not None:
        client.mount("http+docker://", _adapter(address.socket))
    else:
        client.proxies.update(requests.utils.get_environ_proxies(client.base_url))  # as docker itself does
    return client


def _adapter(path: Path) -> Any:
    from docker.transport import UnixHTTPAdapter

    class OnePool(UnixHTTPAdapter):  # type: ignore[misc, unused-ignore]
        """docker-py keeps a pool of connections per URL, so that every call connects anew; this keeps one for
        all."""

        def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
            return super().get_connection("http+docker://localhost", proxies)

    return OnePool(f"http+unix://{path}", timeout=int(CALL_TIMEOUT))
