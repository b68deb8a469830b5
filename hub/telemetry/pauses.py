"""Pauses of the garbage collector, in which the hub does nothing else."""

from __future__ import annotations

import gc
from time import perf_counter
from types import TracebackType
from typing import Final, Self

from hub.telemetry.meter import Histogram

GENERATIONS: Final = ("0", "1", "2")


class GcPauses:
    """Measures every collection while its context is open.

    Attributes:
        durations: How long collections took, by the oldest generation that they looked through.
    """

    def __init__(self) -> None:
        self.durations = {generation: Histogram() for generation in GENERATIONS}
        self._began = 0.0

    def __enter__(self) -> Self:
        gc.callbacks.append(self._on_phase)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.callbacks.remove(self._on_phase)

    def _on_phase(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = perf_counter()
        elif self._began:
            self.durations[str(info["generation"])].observe(perf_counter() - self._began)
            self._began = 0.0
