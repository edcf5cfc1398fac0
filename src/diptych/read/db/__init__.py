"""Reach the read database, alike on SQLite and on PostgreSQL: connections, snapshots, transactions."""
