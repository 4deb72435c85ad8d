"""The users of the simulated organization."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import attrs

from presence_async.simulator.errors import not_found
from presence_async.simulator.identity import uuid_for
from presence_async.simulator.paths import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

UserState = Literal["active", "inactive", "deleted"]

_FIRST = (
    "Ada", "Bela", "Chloe", "David", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jonas",
    "Karin", "Liam", "Mina", "Noor", "Olga", "Pavel", "Quinn", "Rosa", "Sven", "Tara",
)  # fmt: skip
_LAST = (
    "Abe", "Brand", "Costa", "Diaz", "Eze", "Fischer", "Garcia", "Haddad", "Ito", "Jensen",
    "Kaya", "Lopez", "Moreau", "Nowak", "Okafor", "Popov", "Rossi", "Silva", "Tanaka",
)  # fmt: skip


@attrs.frozen
class User:
    """One user; `email` doubles as the user name."""

    id: str
    name: str
    email: str
    state: UserState = "active"
    version: int = 1


def generate_user(seed: int, number: int) -> User:
    """Return the `number`-th user of an organization, the same for the same seed."""
    first = _FIRST[number % len(_FIRST)]
    last = _LAST[number // len(_FIRST) % len(_LAST)]
    email = f"{first}.{last}.{number}@example.com".lower()
    return User(id=uuid_for(seed, "user", number), name=f"{first} {last}", email=email)


class People:
    """All users by id, and their listing in order of name.

    Args:
        count: How many users to generate.
        seed: Which users.
    """

    def __init__(self, count: int, seed: int) -> None:
        generated = (generate_user(seed, number) for number in range(count))
        self._users = {user.id: user for user in generated}
        self.by_id: Mapping[str, User] = MappingProxyType(self._users)
        self._listings: dict[str, list[User]] = {}
        self._by_email: dict[str, User] = {}

    def put(self, user: User) -> None:
        """Add a user or replace the one of the same id."""
        self._users[user.id] = user
        self._listings.clear()
        self._by_email.clear()

    def by_email(self, email: str) -> User:
        """Return the user with an email address in any case, of several the one added last.

        Raises:
            ApiError: 404 for an unknown address.
        """
        # The index is built when it is first needed: most organizations never need it.
        if not self._by_email:
            self._by_email = {user.email.casefold(): user for user in self._users.values()}
        user = self._by_email.get(email.casefold())
        if user is None:
            raise not_found("user", email)
        return user

    def listing(self, state: str) -> list[User]:
        """Return the users of a state (or `any`) by name, then id."""
        listing = self._listings.get(state)
        if listing is None:
            users = [user for user in self._users.values() if state in ("any", user.state)]
            listing = sorted(users, key=lambda user: (user.name, user.id))
            self._listings[state] = listing
        return listing


def user_json(user: User, division: Mapping[str, Any]) -> dict[str, Any]:
    """Return a user as the Users API shows it, without expansions."""
    return {
        "id": user.id,
        "name": user.name,
        "division": division,
        "email": user.email,
        "username": user.email,
        "state": user.state,
        "version": user.version,
        "selfUri": f"/api/v2/users/{encode(user.id)}",
    }
