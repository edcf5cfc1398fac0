"""
Tell the customer that the goods are on their way: a mail, here a file in a folder.

The file is named after the mail's id. A mail that is sent again after a crash
replaces itself: sending it twice is as good as once.
"""

import asyncio
import os
from pathlib import Path

from diptych import Reaction, RecordedEvent

from .events import OrderShipped

MAIL = "data/mail"


class Mailbox:
    """Mails on their way out, a file each; the folder is `ORDERS_MAIL`, else ./data/mail/."""

    async def send(self, mail_id: str, text: str) -> None:
        await asyncio.to_thread(self._write, mail_id, text)

    def _write(self, mail_id: str, text: str) -> None:
        folder = Path(os.environ.get("ORDERS_MAIL") or MAIL)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{mail_id}"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / f"{mail_id}.txt")


class MailOnShipping(Reaction[OrderShipped]):
    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def react(self, event: RecordedEvent[OrderShipped]) -> None:
        shipped = event.data
        await self.mailbox.send(self.id_of(event), f"Order {shipped.order_id} was shipped on {shipped.shipped_on}.\n")
