"""A controller that stays is killed and ended in mid-sweep: the next one resumes, and who watches sees the end."""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
from pathlib import Path

from tests.integration.test_serve import QUICK, Serving, ended, options

from netmesh_controller import lab as labs


def test_a_controller_that_ends_in_mid_sweep_resumes_and_its_watcher_sees_the_end(tmp_path: Path) -> None:
    with labs.up(labs.load_spec("nodes: 2"), f"nmtest-{secrets.token_hex(2)}", ephemeral=True) as mesh:
        serving = Serving(tmp_path / "data", mesh)
        serving.start()
        try:
            _ends_twice(serving)
        finally:
            code, stderr = serving.end()
    assert code == 0, stderr
    assert "Traceback" not in stderr


def _ends_twice(serving: Serving) -> None:
    sweep = serving.sweep(*options({**QUICK, "repeat": "3"}), "--format", "json", "--name", "resumed")
    stored: dict[tuple[str, str, int], str] = {}
    for number, least in ((signal.SIGKILL, 2), (signal.SIGTERM, 6)):
        serving.wait_for_cells(least, name="resumed")
        code, stderr = serving.end(number)
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL), stderr
        assert "Traceback" not in stderr
        before, stored = stored, _cells(serving)
        assert least <= len(stored) < 12
        assert before.items() <= stored.items()
        serving.start()
    answer = ended(sweep)
    assert answer.code == 0, answer.stderr
    document = answer.document()
    assert document.run.state == "complete"
    after = {(cell.source, cell.target, cell.repeat): cell.started_at for cell in document.cells}
    assert len(after) == 12
    # What was measured before is what it was.
    assert stored.items() <= after.items()


def _cells(serving: Serving) -> dict[tuple[str, str, int], str]:
    """What is stored, read while no controller runs."""
    code = (
        "import asyncio, json\n"
        "from netmesh_controller.clients.store import open_store\n"
        "async def main():\n"
        "    store = await open_store()\n"
        "    stored = await store.load(await store.find('latest'))\n"
        "    measured = [c for c in stored.cells if c.outcome == 'measured']\n"
        "    print(json.dumps([[c.source, c.target, c.repeat, c.started_at] for c in measured]))\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [serving.command.argv()[0], "-c", code],
        env=serving.command.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return {(source, target, repeat): started for source, target, repeat, started in json.loads(done.stdout)}
