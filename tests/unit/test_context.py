from diptych.context import acting, current_metadata
from diptych.event import Metadata


def test_what_is_known_is_added_to_on_the_way_in_and_forgotten_on_the_way_out() -> None:
    with acting(actor="ann", correlation_id="c", tenant="north"):
        with acting(causation_id="e", shift="late"):
            inner = current_metadata()
        outer = current_metadata()

    assert inner == Metadata(
        actor="ann", correlation_id="c", causation_id="e", extra={"tenant": "north", "shift": "late"}
    )
    assert outer == Metadata(actor="ann", correlation_id="c", extra={"tenant": "north"})
    assert current_metadata() == Metadata()
