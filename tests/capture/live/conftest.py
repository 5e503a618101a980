"""What runs a recorder in a namespace of its own, for each test of the live agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.capture.live.agent import Agent, Namespace, Start, namespace


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    with namespace() as made:
        if made is None:
            pytest.skip("no network namespace can be made here: it takes root and iproute2")
        yield made


@pytest.fixture
def start(space: Namespace, tmp_path: Path) -> Iterator[Start]:
    """Starts a recorder in the namespace, and ends it if the test did not."""
    started: list[Agent] = []

    def begin(*options: str, name: str = "live.tape") -> Agent:
        started.append(Agent(space, tmp_path / name, *options))
        return started[-1]

    yield begin
    for agent in started:
        agent.kill()
