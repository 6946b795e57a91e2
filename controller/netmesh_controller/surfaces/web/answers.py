"""Answers as JSON or bytes, with an ETag and compressed where that pays."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ETag, hdrs, web
from pydantic import BaseModel

from netmesh_controller.surfaces.web.operations import JSON

# Smaller answers fit into a packet or two anyway.
COMPRESSED_BYTES = 1024
# Less than half of the time of the default, and a third more bytes.
_FAST = 1
VARY = "Accept, Accept-Encoding, Authorization, X-Netmesh-Token"


@dataclass(frozen=True, slots=True)
class Written:
    """A body as it travels, with its tag; `gzip` is None where it is not worth it, and then `body` is all there is."""

    body: bytes
    tag: str
    gzip: bytes | None

    @classmethod
    def of(cls, body: bytes, *, compress: bool = True) -> Written:
        """Of a megabyte this takes some milliseconds."""
        packed = None
        if compress and len(body) >= COMPRESSED_BYTES:
            packed = zlib.compress(body, _FAST, wbits=16 + zlib.MAX_WBITS)
        return cls(body, hashlib.blake2b(body, digest_size=12).hexdigest(), packed)


def json_answer(
    request: web.Request,
    content: BaseModel | Mapping[str, Any],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The content as JSON; 304 without a body where the asker has it already."""
    if isinstance(content, BaseModel):
        body = content.model_dump_json(by_alias=True).encode()
    else:
        body = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    return bytes_answer(request, body, JSON, status=status, headers=headers)


async def large_answer(
    request: web.Request, write: Callable[[], bytes], media_type: str, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """As `bytes_answer`, of what is written and compressed beside the event loop."""
    compress = _takes_gzip(request)
    made = await asyncio.to_thread(lambda: Written.of(write(), compress=compress))
    return written_answer(request, made, media_type, headers=headers)


def bytes_answer(
    request: web.Request,
    body: bytes,
    media_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    compress: bool = True,
) -> web.Response:
    """The body of that media type; see `written_answer`."""
    written = Written.of(body, compress=compress and _takes_gzip(request))
    return written_answer(request, written, media_type, status=status, headers=headers)


def _takes_gzip(request: web.Request) -> bool:
    return "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()


def written_answer(
    request: web.Request,
    written: Written,
    media_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """What is written, of that media type; to a GET with an ETag, and 304 where the asker has it already.

    Nothing is kept by caches without asking again: what a token opened must not be shown to the next.
    """
    more = {"Cache-Control": "no-cache", "Vary": VARY, "X-Content-Type-Options": "nosniff", **(headers or {})}
    tag = written.tag if request.method in ("GET", "HEAD") and status == 200 else None
    if tag is not None and any(each.value in (tag, "*") for each in request.if_none_match or ()):
        response = web.Response(status=304, headers=more)
        response.etag = ETag(tag, is_weak=True)
        return response
    body = written.body
    if written.gzip is not None and _takes_gzip(request):
        body, more[hdrs.CONTENT_ENCODING] = written.gzip, "gzip"
    response = web.Response(body=body, status=status, content_type=media_type, headers=more)
    if media_type == JSON or media_type.startswith("text/"):
        response.charset = "utf-8"
    if tag is not None:
        # Weak: the same content travels compressed or not.
        response.etag = ETag(tag, is_weak=True)
    return response
