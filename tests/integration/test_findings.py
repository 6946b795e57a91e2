"""A lab whose links are alike shows no finding; with one slow link it shows that node, and nothing else."""

from collections.abc import Callable

import pytest
from tests.support.cli import Controller, mean

from netmesh_controller import lab as labs
from netmesh_controller.lab import Lab
from netmesh_controller.mesh.document import RunDocument
from netmesh_controller.mesh.statistics import mean_interval

COUNT = 5
LINKS = ", ".join(f"node-{number}: {{rate: 100M}}" for number in range(1, COUNT + 1))
SLOW = LINKS.replace("node-2: {rate: 100M}", "node-2: {rate: 40M}")


@pytest.mark.measures
def test_one_slow_link_is_found_and_none_where_there_is_none(
    controller: Controller, shared_lab: Callable[[str], Lab]
) -> None:
    running = shared_lab(f"nodes: {COUNT}\nlinks: {{{LINKS}}}")

    def sweep(*more: str) -> RunDocument:
        options = ("--tests", "tcp-bandwidth", "--duration", "1s", "--omit", "0s", *more)
        answer = controller("sweep", "--lab", running.name, "--format", "json", *options)
        assert answer.code == 0, answer.stderr
        return answer.document()

    healthy = sweep()
    assert [finding.sentence for finding in healthy.findings if finding.kind != "cpu_bound"] == []

    # On the same lab: a pair whose link is shaped is known within 5 % after the least number of repeats, or soon after.
    known = sweep("--until", "ci < 5 %", "--max-repeat", "5", "--pairs", "node-1:node-3")
    means = [mean(cell, "bits_per_second") for cell in known.cells]
    assert 3 <= len(means) <= 5
    assert sorted(cell.repeat for cell in known.cells) == list(range(1, len(means) + 1))
    interval = mean_interval(means)
    assert interval is not None
    assert interval.relative is not None
    assert interval.relative < 0.05 or len(means) == 5

    labs.set_lab(running.name, labs.load_spec(f"nodes: {COUNT}\nlinks: {{{SLOW}}}"))
    slow = sweep()
    found = [finding for finding in slow.findings if finding.kind != "cpu_bound"]
    assert len(found) == 1, [finding.sentence for finding in found]
    finding = found[0]
    assert (finding.kind, finding.where["node"], finding.where["direction"]) == ("slow_node", "node-2", "both")
    assert finding.size is not None
    assert 0.35 < finding.size < 0.5
    # Up to three of its cells were measured again alone, and were as slow; others only where something held them up.
    again = [one for one in slow.run.facts["alone"] if "node-2" in (one["source"], one["target"])]
    assert 1 <= len(again) <= 3
    assert finding.evidence["cells_again"] == len(again)
    assert finding.evidence["alone"] < 45e6
