"""Python's collector of cycles, set for a process that runs long and holds much."""

from __future__ import annotations

import gc


def steady() -> None:
    """What is loaded by now stays, and is looked at no more; the young are looked at less often.

    With the defaults the collector goes over a plan's and a run's objects again and again for next to nothing: most
    of what a measurement makes is freed by counting its references.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
