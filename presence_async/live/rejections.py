"""What a subscribe call did not get. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from presence_async.models import ChannelTopic
from presence_async.notifications import single_topics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from presence_async.models import ChannelTopicEntityListing


def rejected_topics(
    asked: Iterable[str], answer: ChannelTopicEntityListing
) -> tuple[ChannelTopic, ...]:
    """The topics of a subscribe call that are not in its answer, or are there as rejected.

    A combined topic may be answered by the single ones it stands for.
    """
    said = {topic.id.casefold(): topic for topic in answer.entities if topic.id}
    rejected = []
    for name in asked:
        parts = single_topics(name) if name.casefold() not in said else [name]
        for found in (said.get(part.casefold()) for part in parts):
            if found is None or found.state == "Rejected":
                reason = "not in the answer" if found is None else found.rejection_reason
                permissions = () if found is None else found.missing_permissions
                rejected.append(
                    ChannelTopic(
                        id=name,
                        state="Rejected",
                        rejection_reason=reason,
                        missing_permissions=permissions,
                    )
                )
                break
    return tuple(rejected)
