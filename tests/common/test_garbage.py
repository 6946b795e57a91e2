"""What refers to itself in a circle goes, in a process that runs long."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SCRIPT = """
    import gc, weakref
    from netmesh_common.garbage import steady

    class Thing:
        pass

    before = [Thing() for _ in range(50_000)]
    steady()
    # The second whole collection: there was nothing in it.
    assert gc.get_freeze_count() > 50_000 and not gc.get_objects(generation=2)

    def circle():
        made = Thing()
        made.itself = made
        return made

    kept = circle()
    gone = weakref.ref(kept)
    gc.collect(0)
    # It has survived a collection of the young, and is given up now.
    del kept
    made = 0
    while gone() is not None:
        made += 1
        assert made < 150_000, gc.get_stats()
        circle()
    print(made)
"""


def test_what_dies_after_its_first_collection_waits_for_few_more() -> None:
    """In a process of its own: the collector is set for all of one."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
