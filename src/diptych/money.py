"""
Amounts of money: exact decimals, which are text wherever they are JSON.

    class PlaceOrder(Command[str]):
        price: Annotated[Decimal, Amount(least=Decimal(0))]

Over HTTP an amount is a text such as "9.90"; a JSON number is taken too, where it
has no more decimals than the amount. A description of the API says exactly that.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Amount:
    """
    Marks a decimal as an amount, checked where it comes in over HTTP.

    Args:
        places: Decimals at most.
        digits: Digits at most, the decimals included.
        least: The smallest amount; None for any, below zero too.
    """

    places: int = 2
    digits: int = 14
    least: Decimal | None = None

    @property
    def most(self) -> Decimal:
        """The largest amount."""
        return Decimal(10) ** (self.digits - self.places) - Decimal(1).scaleb(-self.places)

    @property
    def pattern(self) -> str:
        """What the text of an amount looks like."""
        sign = "-?" if self.least is None or self.least < 0 else ""
        decimals = f"([.][0-9]{{1,{self.places}}})?" if self.places else ""
        return f"^{sign}[0-9]{{1,{self.digits - self.places}}}{decimals}$"

    def of(self, value: Any) -> Decimal:
        """
        The amount that a text or a number stands for.

        Raises:
            ValueError: It is none: it has too many digits or decimals, is too small, or no number.
        """
        least, most = self._bounds()
        amount = self._decimal(value)
        if not least <= amount <= most:
            raise ValueError(f"an amount is from {least} to {most}")
        if amount != round(amount, self.places):
            raise ValueError(f"an amount has at most {self.places} decimals")
        return amount + 0  # no -0

    def _bounds(self) -> tuple[Decimal, Decimal]:
        return (-self.most if self.least is None else self.least), self.most

    def _decimal(self, value: Any) -> Decimal:
        if isinstance(value, str) and not re.fullmatch(self.pattern, value, re.ASCII):
            raise ValueError('an amount is written like "9.90"')
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise ValueError('an amount is a text like "9.90", or a number')
        try:
            amount = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation as error:
            raise ValueError("an amount is a number") from error
        if not amount.is_finite():
            raise ValueError("an amount is a finite number")
        return amount

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        text = {"type": "to-string", "when_used": "json"}
        return {"type": "function-plain", "function": {"type": "no-info", "function": self.of}, "serialization": text}

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        text = {"type": "string", "pattern": self.pattern, "examples": ["9.90"[: 2 + self.places]]}
        if handler.mode == "serialization":
            return text
        least, most = self._bounds()
        number = {"type": "number", "minimum": float(least), "maximum": float(most)}
        return {"anyOf": [text, {**number, "multipleOf": float(Decimal(1).scaleb(-self.places))}]}


Money: TypeAlias = Annotated[Decimal, Amount()]
