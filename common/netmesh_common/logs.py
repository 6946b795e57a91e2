"""One log line an event, on stderr, in UTC."""

from __future__ import annotations

import logging
import sys
import time


def set_up(level: str) -> None:
    """Configures the root logger; `level` is a name of the logging module, for example "INFO"."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
