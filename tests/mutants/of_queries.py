"""Lines of queries, pages and searches that carry a promise."""

from tests.mutants.mutant import Mutant

READ, READ_DATABASES = "src/diptych/read", "tests/conformance/test_read_databases.py"

MUTANTS = [
    Mutant(
        "a cell is no formula",
        "P7",
        "src/diptych/edge/fastapi/exports.py",
        "if value.startswith(FORMULA)",
        "if False",
        "tests/examples/test_orders_pages.py",
        "formulas",
    ),
    Mutant(
        "a stream goes on behind what was seen",
        "P2",
        "src/diptych/edge/fastapi/live.py",
        "position = after if seen is None else seen",
        "position = after",
        "tests/http/test_live.py",
        "goes_on_behind",
    ),
    Mutant(
        "what was found is escaped",
        "P7",
        f"{READ}/ask/ranking.py",
        "<mark>{escape(text[left:right])}</mark>",
        "<mark>{text[left:right]}</mark>",
        "tests/unit/read/test_search.py",
        "no_markup",
    ),
    Mutant(
        "a row is looked up in the generation that is served",
        "P8",
        f"{READ}/ask/lookup.py",
        "if parts.of != self._of:",
        "if False:",
        READ_DATABASES,
        "follows_the_pointer",
    ),
    Mutant(
        "search words are quoted",
        "P7",
        f"{READ}/projections/search.py",
        """f'"{" ".join(term)}"' for""",
        """f'{" ".join(term)}' for""",
        "tests/unit/read/test_search.py",
    ),
    Mutant(
        "ties of a page are broken by position",
        "P3",
        f"{READ}/ask/question.py",
        "({names}) {'<' if sorts[0].descending else '>'} ({values})",
        "({names}) {'>' if sorts[0].descending else '<'} ({values})",
        READ_DATABASES,
        "walk_by_cursor",
    ),
    Mutant(
        "a cursor is signed",
        "P7",
        f"{READ}/ask/page.py",
        "if not hmac.compare_digest(signature, _signature(body, secret)):",
        "if False:",
        READ_DATABASES,
        "signed_with_another_key",
    ),
    Mutant(
        "a cursor goes on with its own question",
        "P7",
        f"{READ}/ask/page.py",
        "if self.question != question:",
        "if False:",
        READ_DATABASES,
        "another_question",
    ),
]
