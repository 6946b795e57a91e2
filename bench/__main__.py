"""`make bench`: prints every figure; `make bench ARGS=sweep` prints one group."""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import (
    answers,
    compare,
    diagnose,
    findings,
    findings_lab,
    million,
    monitoring,
    probing,
    report,
    rest,
    scale,
    stamp,
    starvation,
    sweep,
)

GROUPS: dict[str, Callable[[], None]] = {
    "rest": rest.main,
    "sweep": sweep.main,
    "stamp": stamp.main,
    "starvation": starvation.main,
    "probing": probing.main,
    "compare": compare.main,
    "diagnose": diagnose.main,
    "answers": answers.main,
    "findings": findings.main,
    "findings-lab": findings_lab.main,
    "million": million.main,
    "report": report.main,
    "scale": scale.main,
    "monitoring": monitoring.main,
}


def main(names: list[str]) -> int:
    """Runs the named groups, all where none is named."""
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        print(f"there is no group '{unknown[0]}'; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    for name in names or GROUPS:
        print(f"\n{name}: {sys.modules[GROUPS[name].__module__].__doc__}")
        GROUPS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
