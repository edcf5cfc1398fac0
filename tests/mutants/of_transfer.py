"""The lines that carry a promise where a log is moved, and where old commands are forgotten."""

from tests.mutants.mutant import Mutant

CONFORMANCE = "tests/conformance/test_stores.py"
TRANSFER = "tests/unit/test_transfer.py"

MUTANTS = [
    Mutant(
        "a log is moved with its commands",
        "P5",
        "src/diptych/transfer.py",
        "await self._store.put((), commands)",
        "self._store",
        TRANSFER,
        "repeats",
    ),
    Mutant(
        "a log whose import was cut short opens for nobody",
        "P12",
        "src/diptych/log.py",
        "if store.identity.incarnation == UNFINISHED:",
        "if False:",
        TRANSFER,
        "nobody_opens",
    ),
    Mutant(
        "an import is held against what is there",
        "P3",
        "src/diptych/transfer.py",
        "if list(page.events) != known:",
        "if False:",
        TRANSFER,
        "differs_in_one",
    ),
    Mutant(
        "what is put goes on where the log ends",
        "P2",
        "src/diptych/store/rules.py",
        "if event.position <= head or ",
        "if ",
        CONFORMANCE,
        "refused_whole",
    ),
    Mutant(
        "no young command is forgotten",
        "P5",
        "src/diptych/store/sql/sqlite/prune_commands.sql",
        " AND recorded_at < :before",
        "",
        CONFORMANCE,
        "younger",
    ),
]
