import pytest

from diptych.errors import BadMessage, Refused
from diptych.event import Event
from diptych.testing.scenario import scenario
from diptych.write.aggregate import Aggregate
from diptych.write.command import Command
from diptych.write.decider import Decider


class Lit(Event):
    watts: int


class Put(Event):
    pass


class TooBright(Refused):
    pass


class Lamp(Aggregate[Lit | Put]):
    lit = False

    def light(self, watts: int) -> None:
        if watts > 100:
            raise TooBright(f"{watts} watts")
        if not self.lit:
            self.record(Lit(watts=watts))

    def burst(self) -> None:
        self.record(Lit(watts=1))
        raise TooBright("too late")

    def apply(self, event: Lit | Put) -> None:
        self.lit = isinstance(event, Lit)


class Light(Command):
    watts: int


class Lighting(Decider[Light, bool, Lit]):
    def initial(self, id: str) -> bool:
        return False

    def decide(self, command: Light, state: bool) -> list[Lit]:
        if command.watts > 100:
            raise TooBright(f"{command.watts} watts")
        return [] if state else [Lit(watts=command.watts)]

    def evolve(self, state: bool, event: Lit) -> bool:
        return True


def test_an_aggregate_is_tried_on_its_past() -> None:
    scenario(Lamp).given().when(lambda lamp: lamp.light(40)).then(Lit(watts=40))
    scenario(Lamp).given(Lit(watts=40)).when(lambda lamp: lamp.light(40)).then()
    scenario(Lamp).given(Lit(watts=40), Put()).when(lambda lamp: lamp.light(60)).then(Lit(watts=60))
    scenario(Lamp).given().when(lambda lamp: lamp.light(101)).then_refused(TooBright, saying="101 watts")


@pytest.mark.parametrize("subject", [Lighting, Lighting()])
def test_a_decider_is_tried_with_commands(subject: Lighting | type[Lighting]) -> None:
    scenario(subject).given().when(Light(watts=40)).then(Lit(watts=40))
    scenario(subject).given(Lit(watts=40)).when(Light(watts=40)).then()
    scenario(subject).given().when(Light(watts=101)).then_refused(TooBright)


def test_it_has_the_id_that_is_asked_for() -> None:
    scenario(Lamp, id="l-1").given().when(lambda lamp: lamp.light(len(lamp.id))).then(Lit(watts=3))


def test_other_events_fail_with_both_sides_shown() -> None:
    acted = scenario(Lamp).given().when(lambda lamp: lamp.light(40))

    with pytest.raises(AssertionError) as caught:
        acted.then(Lit(watts=60), Put())
    assert str(caught.value) == "expected\n  Lit(watts=60)\n  Put()\nbut recorded\n  Lit(watts=40)"
    with pytest.raises(AssertionError, match="expected\n  no event\nbut recorded"):
        acted.then()


def test_an_unexpected_refusal_fails_and_is_shown() -> None:
    with pytest.raises(AssertionError) as caught:
        scenario(Lamp).given().when(lambda lamp: lamp.light(101)).then(Lit(watts=101))

    assert str(caught.value) == "expected\n  Lit(watts=101)\nbut it raised\n  TooBright: 101 watts"
    assert isinstance(caught.value.__cause__, TooBright)


def test_a_refusal_that_does_not_come_fails() -> None:
    with pytest.raises(AssertionError, match="expected a refusal\n  TooBright\nbut recorded\n  Lit"):
        scenario(Lamp).given().when(lambda lamp: lamp.light(40)).then_refused(TooBright)


def test_another_refusal_fails_and_is_shown() -> None:
    acted = scenario(Lamp).given().when(lambda lamp: lamp.light(101))

    with pytest.raises(AssertionError, match="expected a refusal\n  KeyError\nbut it raised\n  TooBright: 101 watts"):
        acted.then_refused(KeyError)
    with pytest.raises(AssertionError, match="…dark…"):
        acted.then_refused(TooBright, saying="dark")


def test_a_refusal_after_an_event_fails() -> None:
    with pytest.raises(AssertionError, match="refused with TooBright: too late\nbut recorded before\n  Lit"):
        scenario(Lamp).given().when(Lamp.burst).then_refused(TooBright)


def test_a_past_of_other_events_is_refused() -> None:
    class Other(Event):
        pass

    with pytest.raises(BadMessage, match="none of the events of Lamp"):
        scenario(Lamp).given(Other())
