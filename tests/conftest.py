"""Options of the whole suite."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the long form of property tests too")


def pytest_configure(config: pytest.Config) -> None:
    """Signals as at a terminal, and how many examples a property test draws where it does not say so itself."""
    # Under nohup or in a shell's background a signal is ignored, and every process we start would ignore it as well:
    # the tests of what a signal does need the usual meaning.
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)
    settings.register_profile("ordinary", max_examples=40, deadline=None)
    settings.register_profile("nightly", max_examples=1000, deadline=None)
    settings.load_profile("nightly" if config.getoption("--nightly") else "ordinary")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        return
    chosen = [item for item in items if "nightly" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "nightly" in item.keywords])
    items[:] = chosen
