"""One bad row must not cost the others of its request: the search for it, by halves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from presence_async.errors import InvalidRequestError, NotFoundError, PresenceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

RowT = TypeVar("RowT")
OutcomeT = TypeVar("OutcomeT")

_REFUSALS = (InvalidRequestError, NotFoundError)
_ENOUGH = 5


def is_refusal(error: PresenceError) -> bool:
    """Whether it may be about single rows of a request, which is then halved."""
    return isinstance(error, _REFUSALS)


class Halving(Generic[RowT, OutcomeT]):
    """Sends rows together; rows that are refused are halved until the bad ones are alone.

    One bad row among fifty costs twelve requests more. Where five rows are refused alone and
    nothing was ever accepted, it is the request: each chunk is then sent only once. Only
    refusals (400, 404, 413) are about rows; another failure is the outcome of every row.
    """

    def __init__(
        self,
        attempt: Callable[[Sequence[RowT]], Awaitable[Sequence[OutcomeT] | PresenceError]],
        failed: Callable[[RowT, PresenceError], OutcomeT],
        *,
        not_found: Callable[[Sequence[RowT]], Awaitable[Sequence[OutcomeT]]] | None = None,
    ) -> None:
        """`attempt` makes one request, `failed` the outcome of a row whose request failed.

        `not_found` takes over a row that is answered 404, and rows of which both halves are.
        """
        self._attempt = attempt
        self._failed = failed
        self._not_found = not_found
        self._accepted = False
        self._refused_alone = 0

    async def outcomes(self, rows: Sequence[RowT]) -> Sequence[OutcomeT]:
        """One outcome for each row, in their order; raises nothing of our errors."""
        result = await self._attempt(rows)
        if not isinstance(result, PresenceError):
            self._accepted = True
            return result
        return await self._settled(rows, result)

    async def _tried(self, rows: Sequence[RowT]) -> Sequence[OutcomeT] | PresenceError:
        result = await self._attempt(rows)
        self._accepted = self._accepted or not isinstance(result, PresenceError)
        return result

    @property
    def _hopeless(self) -> bool:
        return self._refused_alone >= _ENOUGH and not self._accepted

    async def _settled(
        self, rows: Sequence[RowT], result: Sequence[OutcomeT] | PresenceError
    ) -> Sequence[OutcomeT]:
        if not isinstance(result, PresenceError):
            return result
        if len(rows) == 1 and self._not_found is not None and isinstance(result, NotFoundError):
            return await self._not_found(rows)
        if len(rows) == 1 or self._hopeless or not is_refusal(result):
            return [self._failed(row, result) for row in rows]
        middle = len(rows) // 2
        left, right = rows[:middle], rows[middle:]
        results = await self._tried(left), await self._tried(right)
        if self._not_found is not None and all(isinstance(r, NotFoundError) for r in results):
            return await self._not_found(rows)
        self._refused_alone += (len(left) == 1) + (len(right) == 1)
        return [*await self._settled(left, results[0]), *await self._settled(right, results[1])]
