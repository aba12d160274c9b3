"""The speed of this machine at this moment, for tests of what is promised in seconds.

A promise such as "Stop ends a tool within two seconds" is made for a machine that has time for it. A test multiplies
its limit by :func:`pace`; the promise itself, in seconds, is measured by ``scripts/bench``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COUNTING, STARTING = 0.011, 0.009
"""Seconds that :func:`_count` and :func:`_start` take on a quiet machine of two cores."""

MOST = 12.0
"""A machine that is slower still, or busier, is no place to test a promise of seconds: the test fails then."""


def pace() -> float:
    """How many times as long as on a quiet machine things take here and now: from 1 to :data:`MOST`."""
    counting = statistics.median(_count() for _ in range(3)) / COUNTING
    starting = statistics.median(_start() for _ in range(3)) / STARTING
    return min(max(1.0, counting, starting), MOST)


def _count() -> float:
    began = time.perf_counter()
    total = 0
    for number in range(300_000):
        total += number & 7
    return time.perf_counter() - began


def _start() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return time.perf_counter() - began
