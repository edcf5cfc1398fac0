"""The lines that carry a promise in PostgreSQL."""

from tests.mutants.mutant import Mutant

READ, STORE = "src/diptych/read", "src/diptych/store"
POSTGRES = "tests/faults/postgres"

MUTANTS = [
    Mutant(
        "an answer waits for the disk",
        "P1",
        f"{STORE}/sql/postgres/schema_0001.sql",
        "all before it.\n    PERFORM set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, "
        "'diptych', '');\nEND",
        "all before it.\nEND",
        f"{POSTGRES}/test_server.py",
        "again_and_again",
    ),
    Mutant(
        "an answer to one who appends alone waits for the disk",
        "P1",
        f"{STORE}/sql/postgres/schema_0001.sql",
        "PERFORM diptych_lock_order(true, patience_ms);",
        "PERFORM diptych_lock_order(false, patience_ms);",
        f"{POSTGRES}/test_foreigners.py",
        "appends_alone",
    ),
    Mutant(
        "a batch that fails is not overtaken",
        "P3",
        f"{STORE}/sql/postgres/schema_0001.sql",
        "IF behind <> '' AND NOT EXISTS",
        "IF false AND NOT EXISTS",
        f"{POSTGRES}/test_ways.py",
        "not_overtaken",
    ),
    Mutant(
        "what a crash took is not told",
        "P2",
        f"{STORE}/sql/postgres/schema_0001.sql",
        "AND d.id = w.id)\n    ) OR",
        "AND d.id = w.id) AND false\n    ) OR",
        f"{POSTGRES}/test_ways.py",
        "witness",
    ),
    Mutant(
        "a repeat in one round trip waits for the disk",
        "P5",
        f"{STORE}/sql/postgres/schema_0001.sql",
        "IF synchronous AND NOT (head > before OR statuses IS NULL) THEN",
        "IF false THEN",
        f"{POSTGRES}/test_foreigners.py",
        "follows_from",
    ),
    Mutant(
        "what is shown is durable",
        "P2",
        f"{STORE}/postgres/readers.py",
        "stays = not durable or await self._stays(*end)",
        "stays = True",
        f"{POSTGRES}/test_foreigners.py",
        "was_shown",
    ),
    Mutant(
        "an append is made in READ COMMITTED",
        "P3",
        f"{STORE}/sql/postgres/schema_0001.sql",
        "IF current_setting('transaction_isolation') <> 'read committed' THEN",
        "IF false THEN",
        f"{POSTGRES}/test_foreigners.py",
        "stricter",
    ),
    Mutant(
        "a follower looks where it stands after a fail-over",
        "P2",
        f"{READ}/follow/follower.py",
        "if self._event_store.store.connections != self._connections:",
        "if False:",
        f"{POSTGRES}/test_copies.py",
        "fail_over",
    ),
]
