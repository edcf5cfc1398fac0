"""Keep a log in PostgreSQL, which many processes may write at once; see `store.py` for its parts."""

from diptych.store.postgres.store import PostgresStore, open_postgres
from diptych.store.queue import Limits

__all__ = ["Limits", "PostgresStore", "open_postgres"]
