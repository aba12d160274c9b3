"""Engine: a RunSpec → a stream of events, on the Docker engine that this person's own ``docker`` would use.

    engine = connect(host)
    for event in Run(engine, spec, host):
        ...

Nothing of Docker's client is imported before the first call.
"""

from .connect import Engine, connect
from .images import ensure
from .reaper import Container, containers, find, logs, remove, stop, sweep
from .run import Run

__all__ = [
    "Container",
    "Engine",
    "Run",
    "connect",
    "containers",
    "ensure",
    "find",
    "logs",
    "remove",
    "stop",
    "sweep",
]
