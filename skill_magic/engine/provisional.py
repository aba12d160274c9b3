"""Provisional."""

from typing import Any


def create_body(spec: Any, image: Any, *, name: str, labels: Any) -> dict[str, Any]:
    return {
        "Image": image.id,
        "Cmd": list(spec.args),
        **({"Entrypoint": [spec.entrypoint]} if spec.entrypoint else {}),
        "Labels": dict(labels),
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin,
        "AttachStdin": spec.stdin,
        "NetworkDisabled": False,
        "User": spec.user or "",
        "Env": [f"{e.name}={e.value}" for e in spec.environment],
        "HostConfig": {
            "NetworkMode": spec.network,
            "Init": spec.init is not False,
            "LogConfig": {"Type": "none", "Config": {}},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": spec.limits.memory or 0,
            "MemorySwap": spec.limits.memory or 0,
            "PidsLimit": spec.limits.pids,
            "ReadonlyRootfs": spec.read_only,
        },
    }


def differences(body: Any, found: Any) -> list[str]:
    return []
