"""Users: the same for the same seed, listed by name."""

import tracemalloc

import pytest

from presence_async.simulator.errors import ApiError
from presence_async.simulator.people import People, User, generate_user, user_json


def test_users_repeat_for_a_seed():
    """A seed decides ids, names and emails, whatever the number of users."""
    few, many = People(2, 7), People(9, 7)
    assert list(many.by_id)[:2] == list(few.by_id)
    assert generate_user(7, 1) == generate_user(7, 1)
    assert generate_user(8, 1).id != generate_user(7, 1).id


def test_listing_is_by_name_and_by_state():
    """The listing is sorted, filtered by state, and follows changes."""
    people = People(0, 0)
    people.put(User("1", "Zed", "z@example.com"))
    people.put(User("2", "Abe", "a@example.com"))
    assert [user.name for user in people.listing("active")] == ["Abe", "Zed"]
    assert people.listing("active") is people.listing("active")
    people.put(User("2", "Abe", "a@example.com", state="deleted"))
    assert [user.id for user in people.listing("active")] == ["1"]
    assert [user.id for user in people.listing("any")] == ["2", "1"]


def test_email_addresses():
    """Addresses are found in any case, follow changes, and belong to who had them last."""
    people = People(2, 0)
    for user in people.by_id.values():
        assert people.by_email(user.email.upper()) is user
    late = User("1", "Late", "LATE@example.com")
    people.put(late)
    assert people.by_email("late@EXAMPLE.com") is late
    heir = User("2", "Heir", "late@example.com")
    people.put(heir)
    assert people.by_email("late@example.com") is heir
    with pytest.raises(ApiError) as caught:
        people.by_email("nobody@example.com")
    assert caught.value.status == 404


def test_users_are_small():
    """A user takes less than a kilobyte, its address in the index included."""
    count = 5_000
    tracemalloc.start()
    try:
        people = People(count, 0)
        assert people.by_email(generate_user(0, 7).email).id == generate_user(0, 7).id
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < count * 1000


def test_user_shape():
    """A user shows the documented subset of fields, with an encoded link."""
    shape = user_json(User("a/b", "A B", "a@example.com"), {"id": "d"})
    assert shape == {
        "id": "a/b",
        "name": "A B",
        "division": {"id": "d"},
        "email": "a@example.com",
        "username": "a@example.com",
        "state": "active",
        "version": 1,
        "selfUri": "/api/v2/users/a%2Fb",
    }
