import pytest

from diptych.errors import BadMessage, NotStorable
from diptych.event import Event
from diptych.write.aggregate import Aggregate, event_types, state_of, stream_of


class Opened(Event):
    owner: str


class Paid(Event):
    amount: int


class Stranger(Event):
    pass


AccountEvent = Opened | Paid


class Account(Aggregate[AccountEvent]):
    owner = ""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.payments: list[int] = []

    def pay(self, amount: int) -> None:
        self.record(Paid(amount=amount))

    def apply(self, event: AccountEvent) -> None:
        match event:
            case Opened(owner=owner):
                self.owner = owner
            case Paid(amount=amount):
                self.payments.append(amount)


class Savings(Account):
    pass


class Named(Aggregate[Opened]):
    category = "Konto"


class Heir(Named):
    pass


class Free(Aggregate):
    pass


def test_an_aggregate_has_a_new_id_or_the_one_given() -> None:
    assert Account("a-1").id == "a-1"
    assert Account().id != Account().id


def test_an_event_recorded_is_applied_counted_and_kept() -> None:
    account = Account("a-1")
    account.record(Opened(owner="ann"))
    account.pay(3)

    assert (account.owner, account.payments, account.version) == ("ann", [3], 2)
    assert account.uncommitted_events == (Opened(owner="ann"), Paid(amount=3))


def test_an_event_replayed_is_applied_and_counted_only() -> None:
    account = Account("a-1")
    account.replay(Paid(amount=3))

    assert (account.payments, account.version, account.uncommitted_events) == ([3], 1, ())


def test_the_state_of_an_aggregate_is_what_its_class_and_its_events_have_set() -> None:
    account = Savings("a-1")
    assert state_of(account) == {"id": "a-1", "version": 0, "owner": "", "payments": []}
    account.record(Opened(owner="ann"))
    account.pay(3)

    assert state_of(account) == {"id": "a-1", "version": 2, "owner": "ann", "payments": [3]}
    assert state_of(Named("n")) == {"id": "n", "version": 0}


def test_an_event_of_another_is_refused_and_leaves_nothing() -> None:
    account = Account("a-1")

    with pytest.raises(BadMessage, match=r"Account recorded Stranger\(\), which is none of its events: Opened, Paid"):
        account.record(Stranger())  # type: ignore[arg-type]
    assert (account.version, account.uncommitted_events) == (0, ())


def test_an_aggregate_that_names_no_events_takes_any() -> None:
    free = Free("f")
    free.record(Stranger())

    assert free.version == 1
    assert event_types(Free) == (Event,)
    assert event_types(Savings) == (Opened, Paid)


def test_a_category_is_the_name_of_the_class_unless_one_is_said() -> None:
    assert [each.category for each in (Account, Savings, Named, Heir)] == ["Account", "Savings", "Konto", "Konto"]


def test_a_stream_is_named_by_category_and_id() -> None:
    assert stream_of("Account", "a-1") == "Account-a-1"


def test_an_id_that_is_empty_or_holds_no_characters_is_refused() -> None:
    with pytest.raises(BadMessage, match="a Account has the id ''"):
        stream_of("Account", "")
    with pytest.raises(NotStorable, match="lone surrogate"):
        stream_of("Account", "\ud800")
