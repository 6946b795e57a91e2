"""What the HTTP servers of both ends have in common."""

from __future__ import annotations

# How long a connection may say nothing, from its beginning on; half a request is nothing. aiohttp's own hour lets
# strangers take all descriptors of a process. Longer than aiohttp's clients keep a connection, which is 15 s;
# Prometheus, which asks more rarely, connects again.
IDLE_SECONDS = 20.0
