"""The lines that carry a promise about rebuilds, and about what projections share."""

from tests.mutants.mutant import Mutant

SQL = "src/diptych/read/sql/sqlite"
READ = "src/diptych/read"
READ_DATABASES = "tests/conformance/test_read_databases.py"

MUTANTS = [
    Mutant(
        "a first build never moves the pointer",
        "P8",
        f"{READ}/sql/served_first.sql",
        "DO NOTHING",
        "DO UPDATE SET generation = excluded.generation",
        READ_DATABASES,
        "only_a_switch",
    ),
    Mutant(
        "a switch moves it from what is served",
        "P8",
        f"{READ}/sql/served_switch.sql",
        " AND generation = :old",
        "",
        READ_DATABASES,
        "only_a_switch",
    ),
    Mutant(
        "what is served is never dropped",
        "P8",
        f"{READ}/generations.py",
        "if served is None or served.of != of:",
        "if True:",
        READ_DATABASES,
        "takes_the_pointer_back",
    ),
    Mutant(
        "no switch goes to what is behind",
        "P7",
        f"{READ}/switch.py",
        "if built.position < served.position and",
        "if False and",
        READ_DATABASES,
        "never_switched_back_to",
    ),
    Mutant(
        "what isn't served says nothing to those who wait",
        "P7",
        f"{READ}/follower.py",
        "self._serves = self._publish and (served is None or served.of == self.of)",
        "self._serves = self._publish",
        READ_DATABASES,
        "moves_nobody_who_waits",
    ),
    Mutant(
        "a switch lets both be claimed anew",
        "P7",
        f"{SQL}/generation_retire.sql",
        "epoch = epoch + 1,",
        "",
        READ_DATABASES,
        "takes_the_pointer_back",
    ),
    Mutant(
        "what differs is not switched to",
        "P8",
        f"{READ}/rebuild.py",
        "if not found.ok:",
        "if False:",
        READ_DATABASES,
        "refused_before_the_switch",
    ),
    Mutant(
        "a build that is compared is where the snapshot is",
        "P8",
        f"{READ}/generations.py",
        "return Page([event for event in page.events if event.position <= through], through)",
        "return page",
        READ_DATABASES,
        "goes_on_while_it_is_verified",
    ),
    Mutant(
        "a page that is shared is for its own types",
        "P2",
        f"{READ}/feed.py",
        "self.after <= reader.after < self.through and reader.types <= self.types",
        "self.after <= reader.after < self.through",
        "tests/unit/read/test_feed.py",
        "misses_anything",
    ),
    Mutant(
        "what other code half built is not gone on with",
        "P8",
        f"{READ}/generations.py",
        "same_code = await checkpoint.plan(connection, begun.of) == projector(projection, begun.of).plan",
        "same_code = True",
        READ_DATABASES,
        "other_code_half",
    ),
]
