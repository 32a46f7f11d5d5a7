"""Blocking keys as they are stored."""

from hub.patients.store_keys import CAP, KeyStore
from hub.storage.engine import Database

WIDE = 2**63 - 1


def test_who_has_a_key_in_common_meets_and_nobody_else(database: Database) -> None:
    with database.transaction() as work:
        store = KeyStore(work)
        store.put(1, (11, 12, -13))
        store.put(2, (12,))
        store.put(3, (99,))
    with database.reading() as work:
        assert KeyStore(work).candidates((12, -13, 11), not_id=0) == [1, 2]  # the one with more of them first
        assert KeyStore(work).candidates((12,), not_id=1) == [2]
        assert KeyStore(work).candidates((5,), not_id=0) == []
        assert KeyStore(work).candidates((), not_id=0) == []


def test_keys_are_replaced_and_given_up(database: Database) -> None:
    with database.transaction() as work:
        store = KeyStore(work)
        store.put(1, (11, WIDE))
        store.put(2, (11, -WIDE))
        store.put(1, (14, WIDE))
        assert store.candidates((11,), 0) == [2]
        assert store.candidates((14,), 0) == store.candidates((WIDE,), 0) == [1]
        store.put(2, ())
        assert store.candidates((11, -WIDE), 0) == []


def test_a_key_that_too_many_have_is_left_out_and_the_others_hold(database: Database) -> None:
    with database.transaction() as work:
        store = KeyStore(work)
        for number in range(1, CAP + 3):
            store.put(number, (7, 10_000 + number))
        assert store.candidates((7,), 0) == []
        assert store.candidates((7, 10_004), 0) == [4]


def test_more_keys_than_one_question_takes(database: Database) -> None:
    with database.transaction() as work:
        store = KeyStore(work)
        store.put(1, tuple(range(40)))
        assert store.candidates(tuple(range(39, 80)), 0) == [1]
