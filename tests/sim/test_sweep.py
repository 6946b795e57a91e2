"""A sweep of the real controller over simulated agents: whole, with each test alone at its nodes, and true."""

import pytest
from tests.sim.run import sweep
from tests.sim.world import World


@pytest.mark.parametrize("seed", [1])
async def test_a_sampled_sweep_is_whole_and_no_two_tests_meet(seed: int) -> None:
    world = World(12, zones=3, factor=10, stragglers=0.1, failures=0.1, seed=seed)
    options = ("--pairs", "sample:2", "--tests", "tcp-bandwidth", "--duration", "2s", "--omit", "0s")
    report = await sweep(world, *options, "--per-zone-pair", "1")
    assert report.code == 0, report.stderr
    assert report.document.run.state == "complete"
    assert len(report.document.cells) == 24
    # What failed was tried again.
    assert report.ran > 24
    assert any(cell.attempt > 1 for cell in report.document.cells)
    assert report.overlaps == 0
    assert report.most_at_once > 1
    # By the model network's own record of what ran at each instant.
    assert report.most_between_zones == 1
    assert not report.wrong
