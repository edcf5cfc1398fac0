"""
Try the rules of an aggregate or a decider on events alone, without a log.

    scenario(Order).given(placed, shipped).when(lambda order: order.cancel("late")).then_refused(AlreadyShipped)
    scenario(Ordering()).given(placed).when(CancelOrder(...)).then(OrderCancelled(...))

Events are compared whole, type and fields; what differs is shown side by side.
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Self, TypeVar, overload

from diptych.errors import BadMessage
from diptych.event import Event
from diptych.write.aggregate import Aggregate, event_types
from diptych.write.decider import Decided, Decider, decided_by

A = TypeVar("A", bound=Aggregate[Any])
C = TypeVar("C")
T = TypeVar("T")


class Scenario(Generic[T, C]):
    """Something with a past, and what is done to it; see `scenario`."""

    def __init__(self, thing: Aggregate[Any], act: Callable[[Any, Any], object]) -> None:
        self._thing, self._act = thing, act

    def given(self, *events: Event) -> "Scenario[T, C]":
        """
        Let these events have happened, behind those given before.

        Raises:
            BadMessage: One of them is none of its events.
        """
        own = event_types(type(self._thing))
        for event in events:
            if not isinstance(event, own):
                raise BadMessage(f"{event!r} is none of the events of {type(self._thing).__name__}")
            self._thing.replay(event)
        return self

    def when(self, act: C) -> "Acted":
        """Do something: a function of the aggregate, or a command for the decider."""
        with _Noting() as noted:
            self._act(self._thing, act)
        return Acted(self._thing.uncommitted_events, noted.refusal)


class Acted:
    """What came of it."""

    def __init__(self, events: tuple[Event, ...], refusal: Exception | None) -> None:
        self._events, self._refusal = events, refusal

    def then(self, *events: Event) -> None:
        """Insist on exactly these new events, in this order; on none for nothing given."""
        if self._refusal is not None:
            raise AssertionError(
                f"expected{_listed(events)}\nbut it raised\n  {_told(self._refusal)}"
            ) from self._refusal
        if self._events != events:
            raise AssertionError(f"expected{_listed(events)}\nbut recorded{_listed(self._events)}")

    def then_refused(self, refusal: type[Exception], *, saying: str = "") -> None:
        """
        Insist on a refusal before any event.

        Args:
            saying: A part of its message.
        """
        if self._refusal is None:
            raise AssertionError(f"expected a refusal\n  {refusal.__name__}\nbut recorded{_listed(self._events)}")
        if not isinstance(self._refusal, refusal) or saying not in str(self._refusal):
            expected = f"{refusal.__name__}: …{saying}…" if saying else refusal.__name__
            raise AssertionError(
                f"expected a refusal\n  {expected}\nbut it raised\n  {_told(self._refusal)}"
            ) from self._refusal
        if self._events:
            raise AssertionError(f"refused with {_told(self._refusal)}\nbut recorded before{_listed(self._events)}")


@overload
def scenario(subject: type[A], *, id: str | None = None) -> Scenario[A, Callable[[A], object]]: ...


@overload
def scenario(
    subject: Decider[C, Any, Any] | type[Decider[C, Any, Any]], *, id: str | None = None
) -> Scenario[Decided, C]: ...


def scenario(subject: Any, *, id: str | None = None) -> Any:
    """
    Begin with something that has no past: `given` events, `when` something is done, `then` others, or `then_refused`.

        scenario(Order).given(placed).when(lambda order: order.ship(day)).then(OrderShipped(...))
        scenario(Order).given(placed, shipped).when(lambda order: order.ship(day)).then_refused(AlreadyShipped)

    Args:
        subject: An aggregate's class; or a decider, or its class if it is made of nothing.
        id: The id it shall have; None for a new one.
    """
    if isinstance(subject, type) and issubclass(subject, Aggregate):
        return Scenario[Any, Any](subject(id), lambda thing, act: act(thing))
    decider = subject() if isinstance(subject, type) else subject
    return Scenario[Any, Any](decided_by(decider)(id), lambda thing, command: thing.decide(command))


class _Noting:
    """Keeps what is raised inside, whatever it is, for `then` and `then_refused` to judge."""

    refusal: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        self.refusal = error if isinstance(error, Exception) else None
        return self.refusal is not None


def _listed(events: Iterable[Event]) -> str:
    return "".join(f"\n  {event!r}" for event in events) or "\n  no event"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
