"""The vendor's page envelope, as recorded in 2022."""

from __future__ import annotations

from typing import Any


def page_json(
    entities: list[dict[str, Any]], total: int, number: int, size: int, path: str | None
) -> dict[str, Any]:
    """Return a page envelope.

    Args:
        entities: The records of this page.
        total: How many records all pages hold.
        number: Number of this page, from 1.
        size: Page size.
        path: Path of the listing for the links; None leaves the links out.

    Returns:
        The envelope; links are relative and carry both paging parameters, and `nextUri` and
        `previousUri` are absent at the ends.
    """
    count = -(-total // size)
    page: dict[str, Any] = {
        "entities": entities,
        "pageSize": size,
        "pageNumber": number,
        "total": total,
    }
    if path is not None:
        numbers = {"firstUri": 1, "selfUri": number, "lastUri": max(count, 1)}
        if number < count:
            numbers["nextUri"] = number + 1
        if number > 1:
            numbers["previousUri"] = number - 1
        for name, target in numbers.items():
            page[name] = f"{path}?pageSize={size}&pageNumber={target}"
    page["pageCount"] = count
    return page
