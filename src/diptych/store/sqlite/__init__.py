"""Keep a log in one SQLite file; see `store.py` for its parts and what they promise."""

from diptych.store.sqlite.store import SqliteStore, open_sqlite
from diptych.store.sqlite.writer import Limits

__all__ = ["Limits", "SqliteStore", "open_sqlite"]
