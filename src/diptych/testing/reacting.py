"""
Try a reaction on events alone, each delivered twice, as it may happen after a crash.

    post = Post()
    await reacting(MailOnShipping(post)).given(OrderShipped(...))
    assert len(post.sent) == 1
"""

from datetime import datetime, timedelta
from typing import Any

from diptych.codec import EPOCH
from diptych.event import Event
from diptych.read.projections.projection import checked
from diptych.read.projections.reaction import Reaction, deliver
from diptych.testing.projecting import recorded

TIMES = 2


class Reacting:
    """
    A reaction and the events given so far; see `reacting`.

    Attributes:
        ids: What named the effect of each event, in order; both deliveries of one have the same.
    """

    def __init__(self, reaction: Reaction[Any]) -> None:
        self.ids: list[str] = []
        self._reaction = reaction
        self._position = 0

    async def given(self, *events: Event, stream: str = "Given-1", at: datetime | None = None) -> "Reacting":
        """
        Deliver events that it handles, each of them twice.

        Args:
            at: When they were recorded. Default: a second after 1970 began, and each a second after the one before.
        """
        for event in events:
            self._position += 1
            if type(event) in self._reaction.handles():
                found = recorded(event, stream, self._position, at or EPOCH + timedelta(seconds=self._position))
                self.ids.append(self._reaction.id_of(found))
                for _ in range(TIMES):
                    await deliver(self._reaction, found)
        return self


def reacting(reaction: Reaction[Any]) -> Reacting:
    """Begin with a reaction to which nothing has happened."""
    checked(reaction)
    return Reacting(reaction)
