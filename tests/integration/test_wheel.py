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

# Runs a statement where nothing can be imported but netmesh and what an installation without extras brings.
BASE_ONLY = """
import re, sys
from importlib.metadata import distribution, packages_distributions

base, ahead = set(), ["netmesh"]
while ahead:
    name = re.sub("[-_.]+", "-", ahead.pop().lower())
    if name in base:
        continue
    base.add(name)
    for requirement in distribution(name).requires or []:
        asked, _, condition = requirement.partition(";")
        if "extra ==" not in condition and "python_version" not in condition:
            ahead.append(re.match("[A-Za-z0-9._-]+", asked)[0])
normal = lambda one: re.sub("[-_.]+", "-", one.lower())
foreign = {top for top, owners in packages_distributions().items() if not {normal(one) for one in owners} & base}
assert "numpy" in foreign, "the check itself is wrong"

finders = sys.meta_path[:]

class Base:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign:
            return None
        return next((spec for one in finders if (spec := one.find_spec(name, path, target)) is not None), None)

sys.meta_path[:] = [Base()]
exec(sys.argv.pop(1))
"""
EVERY_MODULE = """
import pkgutil, importlib, netmesh_agent
names = [one.name for one in pkgutil.walk_packages(netmesh_agent.__path__, "netmesh_agent.")]
assert len(names) > 20
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
"""


def base_only(statement: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BASE_ONLY, statement, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_agent_needs_nothing_of_the_controllers() -> None:
    ended = base_only(EVERY_MODULE)
    assert (ended.returncode, ended.stderr) == (0, "")
    ended = base_only("from netmesh_agent.cli import main; main()", "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--certificates" in ended.stdout


def test_a_controller_without_its_packages_says_so_in_one_sentence() -> None:
    ended = base_only("from netmesh_controller.__main__ import main; main()", "--help")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "netmesh-controller: typer is missing: this is an agent's installation. Install netmesh[controller].\n"
    )


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
