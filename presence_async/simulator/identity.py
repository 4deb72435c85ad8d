"""Identifiers, secrets and chances that look random and repeat for the same seed."""

from __future__ import annotations

import base64
import hashlib


def _digest(seed: int, kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{seed}/{kind}/{number}".encode()).digest()


def uuid_for(seed: int, kind: str, number: int) -> str:
    """The UUID (version 4 in form) of the `number`-th thing of a kind."""
    text = _digest(seed, kind, number).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


class Numbering:
    """UUIDs of a kind that differ in their last part only: cheap enough for every answer."""

    def __init__(self, seed: int, kind: str) -> None:
        self._start = uuid_for(seed, kind, 0)[:24]
        self._number = 0

    def next(self) -> str:
        """The next UUID."""
        self._number += 1
        return f"{self._start}{self._number:012x}"


def secret_for(seed: int, kind: str, number: int) -> str:
    """An opaque 43-character string fit for a header and a form field."""
    return base64.urlsafe_b64encode(_digest(seed, kind, number)).rstrip(b"=").decode()


def chance_for(seed: int, kind: str, number: int) -> float:
    """A number in [0, 1) to compare with a probability."""
    return int.from_bytes(_digest(seed, kind, number)[:6]) / (1 << 48)


def channel_id_for(seed: int, number: int) -> str:
    """The id of a notification channel: `streaming-4-` and 26 of `a-z0-9` (recorded)."""
    value = int.from_bytes(_digest(seed, "channel", number))
    letters = []
    for _ in range(26):
        value, digit = divmod(value, 36)
        letters.append("0123456789abcdefghijklmnopqrstuvwxyz"[digit])
    return f"streaming-4-{''.join(letters)}"
