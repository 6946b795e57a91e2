"""Requests made up from the OpenAPI document: no answer is a fault, and each is as the document says."""

import asyncio
import sys
from pathlib import Path

from tests.controller.web.conftest import TOKEN, Api
from tests.controller.web.test_runs import filled  # noqa: F401  # a fixture

# Every answer but a fault: 503 says that no agent answers, which is so here.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 503]
"""
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "ignored_auth,allow_header_conformance"
)


async def test_requests_made_up_from_the_document(filled: Api, tmp_path: Path) -> None:  # noqa: F811
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(config), "run", f"{filled.url}/api/v1/openapi.json"),
        *("--header", f"X-Netmesh-Token: {TOKEN}", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", "6", "--seed", "1", "--no-shrink", "--request-timeout", "20", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-8000:]
