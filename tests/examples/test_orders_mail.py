"""A mail for every order that is shipped."""

from datetime import date
from pathlib import Path

from tests.faults.test_cancellation import place

from diptych.testing import in_process, reacting
from orders.app import app
from orders.events import OrderShipped
from orders.messages import ShipOrder
from orders.reactions import Mailbox, MailOnShipping


async def test_a_mail_is_sent_when_an_order_is_shipped(mail: Path) -> None:
    async with in_process(app) as running:
        await place(running, "o")
        await running.dispatch(ShipOrder(order_id="o", shipped_on=date(2026, 11, 24)))
        await running.caught_up()
        events = await running.event_store.read_all()

    (shipped,) = [event for event in events if isinstance(event.data, OrderShipped)]
    (letter,) = mail.iterdir()
    assert letter.name == f"mail_on_shipping-{shipped.event_id}.txt"
    assert letter.read_text(encoding="utf-8") == "Order o was shipped on 2026-11-24.\n"


async def test_a_mail_that_is_sent_again_is_one_mail(mail: Path) -> None:
    shipped = [OrderShipped(order_id=id, shipped_on=date(2026, 11, 24)) for id in ("a", "b")]
    tried = await reacting(MailOnShipping(Mailbox())).given(*shipped)

    assert sorted(letter.stem for letter in mail.iterdir()) == sorted(tried.ids)
