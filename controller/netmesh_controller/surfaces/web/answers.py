"""Answers as JSON or bytes, with an ETag and compressed where that pays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import ETag, web
from pydantic import BaseModel

from netmesh_controller.surfaces.web.operations import JSON

# Smaller answers fit into a packet or two anyway.
COMPRESSED_BYTES = 1024
VARY = "Accept, Accept-Encoding, Authorization, X-Netmesh-Token"


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


def bytes_answer(
    request: web.Request,
    body: bytes,
    media_type: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    compress: bool = True,
) -> web.Response:
    """The body of that media type; to a GET with an ETag, and 304 where the asker has it already.

    Nothing is kept by caches without asking again: what a token opened must not be shown to the next.
    """
    more = {"Cache-Control": "no-cache", "Vary": VARY, "X-Content-Type-Options": "nosniff", **(headers or {})}
    tag = None
    if request.method in ("GET", "HEAD") and status == 200:
        tag = hashlib.blake2b(body, digest_size=12).hexdigest()
        known = request.if_none_match or ()
        if any(each.value in (tag, "*") for each in known):
            response = web.Response(status=304, headers=more)
            response.etag = ETag(tag, is_weak=True)
            return response
    response = web.Response(body=body, status=status, content_type=media_type, headers=more)
    if media_type == JSON or media_type.startswith("text/"):
        response.charset = "utf-8"
    if tag is not None:
        # Weak: the same content travels compressed or not.
        response.etag = ETag(tag, is_weak=True)
    if compress and len(body) >= COMPRESSED_BYTES:
        response.enable_compression()
    return response
