"""The lines that carry a promise where several workers share the projections."""

from tests.mutants import of_failures
from tests.mutants.mutant import Mutant

READ = "src/diptych/read"
READ_DATABASES = "tests/conformance/test_read_databases.py"

MUTANTS = [
    Mutant(
        "leases are extended while the process works",
        "P6",
        f"{READ}/sql/sqlite/lease_beat.sql",
        "SET lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :lease_us",
        "SET lease_until = lease_until + 0 * :lease_us",
        READ_DATABASES,
        "thread_of_their_own and not Postgres",
    ),
    Mutant(
        "who owns too much gives up",
        "P10",
        f"{READ}/follow/spread.py",
        "loads[least] <= loads[at.me] - 2",
        "False",
        "tests/unit/read/test_spread.py",
    ),
    Mutant(
        "what is spread stays where it is",
        "P10",
        f"{READ}/follow/spread.py",
        "loads[least] <= loads[at.me] - 2",
        "loads[least] <= loads[at.me] - 1",
        "tests/unit/read/test_spread.py",
    ),
    Mutant(
        "what is given up is left to others",
        "P10",
        f"{READ}/follow/spread.py",
        "for share in free if share not in left",
        "for share in free",
        "tests/unit/read/test_spread.py",
    ),
    Mutant(
        "a long batch is ended in its middle",
        "P6",
        f"{READ}/projections/projector.py",
        "if monotonic() > until:",
        "if False:",
        READ_DATABASES,
        "ended_in_its_middle and not Postgres",
    ),
    Mutant(
        "what was applied of a long batch is where the checkpoint moves",
        "P6",
        f"{READ}/follow/follower.py",
        "through, event_id = batch.applied[done - 1].global_position, batch.applied[done - 1].event_id",
        "pass",
        READ_DATABASES,
        "ended_in_its_middle and not Postgres",
    ),
    *of_failures.MUTANTS,
    Mutant(
        "a claim waits for no batch",
        "P10",
        f"{READ}/sql/postgresql/checkpoint_claim.sql",
        "FOR UPDATE SKIP LOCKED",
        "FOR UPDATE",
        "tests/faults/postgres/test_owners.py",
        "falls_silent",
    ),
    Mutant(
        "an owner that falls silent is ended before its lease",
        "P10",
        f"{READ}/sql/postgresql/checkpoint_fence.sql",
        "set_config('idle_in_transaction_session_timeout', CAST(:silence AS text), true)",
        "NULL",
        "tests/faults/postgres/test_owners.py",
        "falls_silent",
    ),
    Mutant(
        "a batch that lasts is ended before its lease",
        "P10",
        f"{READ}/sql/postgresql/checkpoint_fence.sql",
        "set_config('transaction_timeout', CAST(:silence AS text), true)",
        "NULL",
        "tests/faults/postgres/test_owners.py",
        "lasts",
    ),
    Mutant(
        "what comes live waits for nobody",
        "P10",
        f"{READ}/follow/feed.py",
        "if reader.is_at_head:",
        "if False:",
        READ_DATABASES,
        "slow_projection and not Postgres",
    ),
]
