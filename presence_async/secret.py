"""The type secrets live in: nothing prints, formats, logs or pickles it by accident."""

from __future__ import annotations

import hmac
from typing import Any, Final, NoReturn, final

__all__ = ["MASK", "MaskedBytes", "MaskedStr", "Secret", "encodable"]

MASK: Final = "**********"


@final
class Secret:
    """A string that shows itself only through `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        if isinstance(value, Secret):
            value = value.reveal()
        if not isinstance(value, str):
            # The value itself stays out of the message: it may still be the secret.
            kind = type(value).__name__
            del value  # nor does a traceback with local variables show it
            raise TypeError(f"a secret must be a str, not {kind}")
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Keep the result out of variables that outlive the line."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # surrogatepass: encoding never fails (the exception would hold the secret).
        mine = self._value.encode(errors="surrogatepass")
        return hmac.compare_digest(mine, other._value.encode(errors="surrogatepass"))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied; pass it on, or reveal() it")


class MaskedStr(str):
    """A header value that is sent as it is and shown as a mask.

    Header mappings, and tracebacks that print local variables, show a value by `repr`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"


class MaskedBytes(bytes):
    """The same for a body that holds secrets."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b'{MASK}'"


def encodable(value: str | Secret) -> bool:
    """Whether `value` can be sent at all; os.environ makes lone surrogates of stray bytes."""
    try:
        str.encode(value.reveal() if isinstance(value, Secret) else value)
    except UnicodeEncodeError:
        return False
    return True
