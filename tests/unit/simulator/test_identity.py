"""Identifiers: random to look at, repeatable by seed."""

import re
import uuid

from presence_async.simulator.identity import (
    Numbering,
    chance_for,
    channel_id_for,
    secret_for,
    uuid_for,
)


def test_uuids_are_version_four_and_repeat():
    """An id is a valid UUID, the same for the same arguments and different for others."""
    assert uuid.UUID(uuid_for(1, "user", 2)).version == 4
    assert uuid_for(1, "user", 2) == uuid_for(1, "user", 2)
    assert len({uuid_for(s, k, n) for s in (1, 2) for k in "ab" for n in (1, 2)}) == 8


def test_channel_ids_have_the_recorded_form():
    """A channel id ends in 26 letters and digits, repeats for a seed, and never twice in it."""
    ids = [channel_id_for(seed, number) for seed in (0, 1) for number in range(50)]
    assert all(re.fullmatch("streaming-4-[0-9a-z]{26}", one) for one in ids)
    assert len(set(ids)) == 100
    assert channel_id_for(0, 7) == ids[7]


def test_secrets_fit_headers_and_forms():
    """A secret consists of 43 unreserved characters."""
    secret = secret_for(0, "token", 1)
    assert len(secret) == 43
    assert secret.replace("-", "").replace("_", "").isalnum()


def test_chances_spread_over_the_unit_interval():
    """Chances lie in [0, 1) and on both sides of the middle."""
    chances = [chance_for(0, "fault", number) for number in range(100)]
    assert all(0 <= chance < 1 for chance in chances)
    assert 30 < sum(chance < 0.5 for chance in chances) < 70


def test_numbered_uuids_are_valid_and_differ():
    """Numbered ids are UUIDs too, one after the other."""
    numbering = Numbering(0, "api")
    ids = [numbering.next() for _ in range(3)]
    assert [uuid.UUID(one).version for one in ids] == [4, 4, 4]
    assert ids == [f"{ids[0][:-1]}{number}" for number in (1, 2, 3)]
