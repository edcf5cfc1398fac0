"""The lines that carry a promise where an event of a projection fails."""

from tests.mutants.mutant import Mutant

READ = "src/diptych/read"
READ_DATABASES = "tests/conformance/test_read_databases.py"

MUTANTS = [
    Mutant(
        "later events of a parked key queue behind it",
        "P9",
        f"{READ}/follow/parking.py",
        "if closed.isdisjoint(keys) and stream not in closed:",
        "if True:",
        READ_DATABASES,
        "still_holds_its_key and not Postgres",
    ),
    Mutant(
        "what queues closes its other keys",
        "P9",
        f"{READ}/follow/parking.py",
        "                closed |= keys\n",
        "",
        READ_DATABASES,
        "share_an_event and not Postgres",
    ),
    Mutant(
        "what is tried again is removed in its transaction",
        "P6",
        f"{READ}/follow/follower.py",
        "            await parked.remove(connection, held, positions)\n",
        "",
        READ_DATABASES,
        "only_the_key and not Postgres",
    ),
    Mutant(
        "what is parked is bounded",
        "P9",
        f"{READ}/follow/parking.py",
        "if there + more > limit:",
        "if False:",
        READ_DATABASES,
        "more_than_may and not Postgres",
    ),
    Mutant(
        "nothing is applied while it is paused",
        "P9",
        f"{READ}/sql/sqlite/checkpoint_fence.sql",
        " AND paused = 0",
        "",
        READ_DATABASES,
        "nobody_waits_for_what_is_paused or paused_and_resumed and not Postgres",
    ),
    Mutant(
        "what needs newer code is left to who has it",
        "P10",
        f"{READ}/follow/runner.py",
        "await self.follower.release()  # to workers that may have it",
        "pass",
        READ_DATABASES,
        "newer_code_waits and not Postgres",
    ),
    Mutant(
        "a skip is recorded",
        "P9",
        f"{READ}/tend/acts.py",
        'await record(connection, target, "skip", position=position, reason=reason)',
        "",
        READ_DATABASES,
        "stopped_is_retried and not Postgres",
    ),
    Mutant(
        "a statement without an answer is an outage",
        "P10",
        f"{READ}/db/engines.py",
        "if not isinstance(context.original_exception, TimeoutError):",
        "if True:",
        "tests/unit/read/test_read_database.py",
        "no_answer_in_time",
    ),
]
