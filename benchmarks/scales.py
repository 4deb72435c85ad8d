"""Whether memory is flat over a long run."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import attrs

__all__ = ["Scales"]

# What may come and go, in blocks of Python's allocator; a user is some ten.
_TOLERANCE = 2000


@attrs.define
class Scales:
    """Memory of this process at moments that should be alike.

    Attributes:
        blocks: Blocks of Python's allocator.
        resident: Resident memory in MB.
    """

    blocks: list[int] = attrs.Factory(list)
    resident: list[float] = attrs.Factory(list)

    def weigh(self) -> None:
        """Note how much memory is held."""
        gc.collect()
        self.blocks.append(sys.getallocatedblocks())
        statm = Path("/proc/self/statm")  # Linux alone has it
        pages = int(statm.read_text().split()[1]) if statm.exists() else 0
        self.resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    @property
    def grew(self) -> bool:
        """Whether more is held now than ever in the first third.

        By then every row has been through its kinds: what was read is one block or two less
        than what an event brought.
        """
        first = self.blocks[: max(1, len(self.blocks) // 3)]
        return self.blocks[-1] - max(first) > _TOLERANCE

    def __str__(self) -> str:
        """First and last."""
        return (
            f"{self.blocks[0]:,} and {self.blocks[-1]:,} blocks, "
            f"{self.resident[0]:.1f} and {self.resident[-1]:.1f} MB"
        )
