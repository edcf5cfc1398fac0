from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ValidationError

from diptych import Amount, Money


class Bill(BaseModel):
    total: Money
    price: Annotated[Decimal, Amount(least=Decimal(0))] = Decimal(0)
    pieces: Annotated[Decimal, Amount(places=0, digits=3)] = Decimal(0)


@pytest.mark.parametrize(
    ("given", "amount"),
    [
        ("9.90", "9.90"),
        ("0", "0"),
        ("007.5", "7.5"),
        ("-3", "-3"),
        (7, "7"),
        (9.9, "9.9"),
        (Decimal("12.500"), "12.500"),
        ("999999999999.99", "999999999999.99"),
        (Decimal("-0.0"), "0.0"),
    ],
)
def test_an_amount_is_an_exact_decimal(given: Any, amount: str) -> None:
    bill = Bill(total=given)

    assert str(bill.total) == amount
    assert bill.model_dump(mode="json")["total"] == amount


@pytest.mark.parametrize(
    "given",
    [
        *("", " 1", "1 ", "+1", "1e2", "1_0", "1.", ".5", "1.234", "1.230", "NaN", "٣", "1000000000000", "a", "1\n"),
        *(1.234, 0.1 + 0.2, Decimal("NaN"), Decimal("Infinity"), float("inf"), 10**12, True, None, Decimal("1e400")),
    ],
)
def test_what_is_no_amount_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        Bill(total=given)


def test_an_amount_may_have_bounds_and_other_places() -> None:
    assert Bill.model_validate({"total": 1, "price": "0", "pieces": "-999"}).pieces == -999
    for wrong in ({"price": "-0.01"}, {"price": -1}, {"pieces": "1.0"}, {"pieces": 1000}, {"pieces": 0.5}):
        with pytest.raises(ValidationError):
            Bill.model_validate({"total": 1, **wrong})


def test_an_amount_is_described_as_it_is_taken_and_given() -> None:
    text = {"type": "string", "pattern": "^-?[0-9]{1,12}([.][0-9]{1,2})?$", "examples": ["9.90"]}

    taken = Bill.model_json_schema()["properties"]
    assert taken["total"]["anyOf"] == [
        text,
        {"type": "number", "minimum": -999999999999.99, "maximum": 999999999999.99, "multipleOf": 0.01},
    ]
    assert taken["price"]["anyOf"][0]["pattern"] == "^[0-9]{1,12}([.][0-9]{1,2})?$"
    given = Bill.model_json_schema(mode="serialization")["properties"]["total"]
    assert {name: given[name] for name in text} == text
