"""Keep a log in one SQLite file; see `store.py` for its parts and what they promise."""

from diptych.store.queue import Limits
from diptych.store.sqlite.store import SqliteStore, open_sqlite

__all__ = ["Limits", "SqliteStore", "open_sqlite"]
