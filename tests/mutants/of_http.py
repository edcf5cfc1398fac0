"""The lines that carry a promise at the edge, and in what it asks of the panels."""

from tests.mutants.mutant import Mutant

EDGE, WRITE, READ = "src/diptych/edge/fastapi", "src/diptych/write", "src/diptych/read"

MUTANTS = [
    Mutant(
        "a command holds at the versions that its sender names only",
        "P4",
        f"{WRITE}/unit_of_work.py",
        "        await self.insist()\n",
        "",
        "tests/unit/write/test_condition.py",
        "its_sender_allows",
    ),
    Mutant(
        "a tag is compared strongly",
        "P4",
        f"{EDGE}/conditions.py",
        "if (weakly or not is_weak) and",
        "if",
        "tests/http/test_preconditions.py",
        "sender_names",
    ),
    Mutant(
        "a key is its principal's own",
        "P5",
        f"{EDGE}/requests.py",
        "[principal, key]",
        "[key]",
        "tests/http/test_messages_over_http.py",
        "repeated_key",
    ),
    Mutant(
        "what a policy doesn't allow is denied",
        "P5",
        "src/diptych/policy.py",
        "if verdict is True:",
        "if verdict is not False:",
        "tests/http/test_policy.py",
        "denied_inside",
    ),
    Mutant(
        "a page keeps to the scope",
        "P7",
        f"{READ}/ask/model.py",
        "conditions(shape, where) + conditions(shape, scope_of(shape, self._source.name))",
        "conditions(shape, where)",
        "tests/http/test_policy.py",
        "good_as_not_there",
    ),
    Mutant(
        "a row by its key keeps to the scope",
        "P7",
        f"{READ}/ask/model.py",
        "return row if row is not None and is_visible(self._source.shape, self._source.name, row) else None",
        "return row",
        "tests/http/test_policy.py",
        "good_as_not_there",
    ),
    Mutant(
        "a location leads to what was made",
        "P7",
        f"{EDGE}/positions.py",
        "        scope[_IN_LINK] = unquote_plus(found[-1].decode",
        "        scope['nothing'] = unquote_plus(found[-1].decode",
        "tests/http/test_positions.py",
        "latest_of_all",
    ),
    Mutant(
        "queries that wait are bounded",
        "P10",
        f"{EDGE}/settings.py",
        "if self._there >= self._limit:",
        "if False:",
        "tests/http/test_guards.py",
        "that_wait_are_bounded",
    ),
]
