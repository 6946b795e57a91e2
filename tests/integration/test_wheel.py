"""The wheel holds what the program reads at run time, not its Python alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.meshes import generated

ROOT = Path(__file__).parents[2]
WRITES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import netmesh_controller
assert Path(netmesh_controller.__file__).is_relative_to(sys.argv[1]), netmesh_controller.__file__
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.surfaces.reports.formats import Wanted, write_report
document = RunDocument.model_validate_json(Path(sys.argv[2]).read_text())
write_report(Wanted.of(document), Path(sys.argv[3]))
"""


def test_a_report_is_written_from_a_built_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("*.whl"))
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
        names = archive.namelist()
    static = ROOT / "controller/netmesh_controller/surfaces/web/static"
    assert {f"netmesh_controller/surfaces/web/static/{one.name}" for one in static.iterdir()} <= set(names)
    run, report = tmp_path / "run.json", tmp_path / "run.html"
    run.write_text(generated(2, paths=("pod-to-pod",)).model_dump_json(by_alias=True))
    subprocess.run([sys.executable, "-c", WRITES, str(unpacked), str(run), str(report)], check=True, cwd=tmp_path)
    text = report.read_text()
    assert "netmesh.heatmap" in text
    assert "plotly.js" in text
