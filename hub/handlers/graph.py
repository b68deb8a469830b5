"""`hub.graph`: who depends on whom, answered from memory."""

from __future__ import annotations

from hub.core.graph_answers import GraphAnswers
from hub.handlers.clock import Clock
from hub.wire.codec import Decoder
from hub.wire.graph import Graph


class Graphs:
    """Answers who depends on whom."""

    def __init__(self, answers: GraphAnswers, clock: Clock) -> None:
        self._answers = answers
        self._clock = clock
        self._decode = Decoder(Graph)

    def graph(self, payload: bytes) -> bytes:
        """The encoded `ServiceGraph`."""
        return self._answers.graph(self._decode(payload), self._clock.now(), self._clock.wall())
