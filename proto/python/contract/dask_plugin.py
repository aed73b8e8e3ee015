"""For pytest: the fixtures of dask's tests, of which nothing is needed."""

from __future__ import annotations

import pytest


@pytest.fixture
def loop() -> None:
    pass


@pytest.fixture
def loop_in_thread() -> None:
    pass
