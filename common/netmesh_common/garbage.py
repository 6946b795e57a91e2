"""Python's collector of cycles, set for a process that runs long and holds much."""

from __future__ import annotations

import gc


def steady() -> None:
    """What is loaded by now stays, and is looked at no more until this is called again; the young are looked at less
    often.

    With the defaults the collector goes over a plan's and a run's objects again and again for next to nothing: most
    of what a measurement makes is freed by counting its references. What is not waits for a collection, and what has
    survived one for a rarer one: by (20_000, 20, 50) that was an hour in a quiet controller, and looked like a leak.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    # A whole collection is put off until there is a quarter more than the last one found: from here on that is little.
    gc.collect()
    gc.set_threshold(20_000, 5, 10)


def set_aside() -> None:
    """What is there now, garbage too, is looked at no more until `steady` is called; this takes no time."""
    gc.freeze()
