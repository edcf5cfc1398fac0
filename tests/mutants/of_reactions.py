"""Lines that carry promises about what happens elsewhere."""

from tests.mutants.mutant import Mutant

READ = "src/diptych/read"
READ_DATABASES = "tests/conformance/test_read_databases.py"
REACTIONS = "tests/unit/test_reactions.py"

MUTANTS = [
    Mutant(
        "a reaction is done before its checkpoint moves",
        "P6",
        f"{READ}/follow/reacting.py",
        "        for event in batch.applied:\n            await deliver(self._reaction, event)\n        async with",
        "        async with",
        READ_DATABASES,
        "TestSqlite and first_deployed",
    ),
    Mutant(
        "the effects of two reactions are told apart",
        "P6",
        f"{READ}/projections/reaction.py",
        'return f"{self.name}-{event.event_id}"',
        "return event.event_id",
        REACTIONS,
        "constructor_asks",
    ),
    Mutant(
        "a command of a reaction has its id",
        "P6",
        "src/diptych/write/bus.py",
        "command = named(command, command_id)",
        "command_id = command.command_id",
        REACTIONS,
        "happen_once",
    ),
    Mutant(
        "a reaction begins at the head",
        "P6",
        f"{READ}/follow/generations.py",
        'if reaction.start == "head":',
        "if False:",
        READ_DATABASES,
        "TestSqlite and first_deployed",
    ),
    Mutant(
        "a reaction is never rebuilt",
        "P6",
        f"{READ}/follow/generations.py",
        "if found is not None and await why_no_place(event_store, found) is None:",
        "if False:",
        READ_DATABASES,
        "TestSqlite and lets_nothing_happen",
    ),
    Mutant(
        "an event behind a dead letter waits",
        "P9",
        f"{READ}/follow/reacting.py",
        "batch = await self._parking.sort(connection, held, events)",
        "batch = Sorted(events)",
        READ_DATABASES,
        "TestSqlite and dead_letter_with",
    ),
]
