"""Options of the whole suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the long form of property tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--nightly"):
        return
    chosen = [item for item in items if "nightly" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "nightly" in item.keywords])
    items[:] = chosen
