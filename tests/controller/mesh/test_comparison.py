"""Comparisons: right on what is known, honest about what is not, and seldom wrong where nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from scipy.special import digamma, polygamma
from tests.controller.mesh.meshes import BANDWIDTH, LATENCY, Mesh

from netmesh_controller.mesh.catalogue import MEMORY_VALUES, TESTS
from netmesh_controller.mesh.comparison import Comparison, Effect, Group, Side, compare
from netmesh_controller.mesh.comparison.directions import BETTER
from netmesh_controller.mesh.comparison.noise import _digamma, _trigamma, _trigamma_inverse, noise_of
from netmesh_controller.mesh.comparison.record import record
from netmesh_controller.mesh.comparison.significance import discoveries, error_over_pairs, signed_rank, two_sided
from netmesh_controller.mesh.comparison.whole import Whole
from netmesh_controller.mesh.comparison.words import effect_in_words, overviews, summaries
from netmesh_controller.mesh.document import Agent, Node, Parameters
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series


def group(comparison: Comparison, series: Series = BANDWIDTH, cells: str = "remote") -> Group:
    (found,) = [one for one in comparison.groups if one.series == series and one.cells == cells]
    return found


def told(comparison: Comparison) -> bool:
    return any(one.verdict != "not distinguishable" for one in comparison.groups) or bool(comparison.pairs)


# The tests underneath, against scipy.


@pytest.mark.parametrize("count", [1, 2, 6, 13, 50, 51, 400])
@pytest.mark.parametrize("ties", [False, True])
def test_the_signed_rank_test_is_scipy_s(count: int, ties: bool) -> None:
    dice = np.random.default_rng(count)
    sample = dice.normal(0.3, 1, count)
    if ties:
        sample = np.round(sample * 2) / 2
        sample[sample == 0] = 0.5
    mine = signed_rank(sample)
    if count <= 50 and not ties:
        assert mine == pytest.approx(scipy.stats.wilcoxon(sample, method="exact").pvalue)
    elif count > 50:
        theirs = scipy.stats.wilcoxon(sample, method="asymptotic", correction=True, zero_method="wilcox").pvalue
        assert mine == pytest.approx(theirs, rel=1e-6)
    elif count <= 13:
        # All ways to give signs, counted one by one.
        ranks = scipy.stats.rankdata(np.abs(sample))
        signs = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        sums = signs @ ranks
        above = ranks[sample > 0].sum()
        most = min(above, ranks.sum() - above)
        assert mine == pytest.approx(min(1.0, 2 * float((sums <= most + 1e-9).mean())))


def test_differences_of_zero_say_nothing() -> None:
    assert signed_rank(np.zeros(20)) == 1.0
    assert signed_rank(np.array([0.0, 0.0, *range(1, 9)])) == signed_rank(np.arange(1.0, 9.0))


def test_discoveries_are_scipy_s() -> None:
    dice = np.random.default_rng(7)
    for _ in range(50):
        p = np.concatenate([dice.uniform(size=40), dice.uniform(size=5) / 1000])
        np.testing.assert_array_equal(discoveries(p, 0.05), scipy.stats.false_discovery_control(p) <= 0.05)
    assert not discoveries(np.array([]), 0.05).any()
    assert not discoveries(np.array([0.2, 0.9]), 0.05).any()


def test_tails_and_gamma_s_derivatives_are_scipy_s() -> None:
    assert two_sided(2.5, 7.3) == pytest.approx(2 * scipy.stats.t.sf(2.5, 7.3))
    x = np.array([0.05, 0.5, 1.0, 3.7, 40.0])
    np.testing.assert_allclose(_digamma(x), digamma(x), rtol=1e-9)
    np.testing.assert_allclose(_trigamma(x), polygamma(1, x), rtol=1e-9)
    assert _trigamma_inverse(float(polygamma(1, 2.5))) == pytest.approx(2.5)


def test_the_error_over_pairs_counts_what_nodes_share() -> None:
    dice = np.random.default_rng(3)
    truth, told_errors = [], []
    for _ in range(400):
        by_node = dice.normal(0, 1, 12)
        effects = by_node[:, None] + by_node[None, :] + dice.normal(0, 0.3, (12, 12))
        np.fill_diagonal(effects, np.nan)
        truth.append(np.nanmean(effects))
        told_errors.append(error_over_pairs(effects))
    assert np.median(told_errors) == pytest.approx(np.std(truth), rel=0.2)
    # Of independent pairs 11 * 12 would be told: three times too sure.
    assert np.std(truth) > 3 * 1.5 / np.sqrt(132)


def test_a_cell_s_noise_is_learnt_from_all_and_a_pass_is_no_cell_s_own() -> None:
    dice = np.random.default_rng(5)
    passes = np.array([0.0, 0.5, -0.5])[:, None]
    runs = tuple(dice.normal(0, 0.02, (3, 200)) + passes for _ in range(2))
    noise = noise_of((runs[0], runs[1]))
    assert noise is not None
    assert np.sqrt(np.median(noise.variance)) == pytest.approx(0.02, rel=0.15)
    assert np.sqrt(noise.common) == pytest.approx(0.5, rel=0.05)
    assert noise.common_df == 4
    assert noise_of((runs[0][:1], runs[1][:1])) is None


# Whole comparisons.


@pytest.mark.parametrize(
    ("nodes", "repeats", "passes"), [(3, 3, 0.01), (4, 3, 0.01), (8, 2, 0.01), (6, 1, 0.01), (4, 2, 0.03)]
)
def test_a_mesh_that_did_not_change_is_seldom_told_to_have(nodes: int, repeats: int, passes: float) -> None:
    """At most 5 % of comparisons: of 150 of them 14 or fewer, which a rate of 5 % passes in 99.1 %."""
    wrong = 0
    for seed in range(150):
        mesh = Mesh(nodes, seed, passes=passes)
        wrong += told(compare([mesh.run(repeats), mesh.run(repeats)]))
    assert wrong <= 14


def test_what_changed_is_found() -> None:
    """A tenth less everywhere (3 repeats, noise of 2 %), and a pair at 0.7 with no other cell told beside it."""
    found_all = found_pair = alone = 0
    for seed in range(30):
        mesh = Mesh(5, seed)
        first = mesh.run(3)
        everywhere = compare([first, mesh.run(3, {None: 0.9})])
        found_all += group(everywhere).verdict == "worse" and group(everywhere, LATENCY).verdict == "worse"
        pair = compare([first, mesh.run(3, {(0, 1): 0.7})])
        places = {(one.source, one.target, one.verdict) for one in pair.pairs}
        found_pair += ("node-0", "node-1", "worse") in places
        alone += places <= {("node-0", "node-1", "worse")}
    assert found_all >= 28
    assert found_pair >= 28
    assert alone >= 25


def test_repeats_tell_what_too_few_pairs_to_be_ranked_do() -> None:
    """Of six pairs the signed-rank test says 0.03 at least, which among four comparisons is nothing."""
    found = 0
    for seed in range(20):
        mesh = Mesh(3, seed)
        found += group(compare([mesh.run(5), mesh.run(5, {None: 0.9})])).verdict == "worse"
    assert found >= 18


def test_what_is_the_same_has_no_sign() -> None:
    effect = Effect("difference", 0.0, -0.0, -0.0)
    assert effect_in_words(effect, "1") == "no difference"
    assert effect_in_words(Effect("ratio", 0.9998, 0.9994, 1.0001), "bit/s") == "0.0 % less (0.0 to 0.1 %)"


def test_the_interval_holds_the_truth() -> None:
    """In 97.5 % of comparisons; of 80, 74 or more hold it with a probability of 99.5 %."""
    held = 0
    for seed in range(80):
        mesh = Mesh(5, seed)
        effect = group(compare([mesh.run(3), mesh.run(3, {None: 0.9})])).effect
        assert effect.low is not None
        assert effect.high is not None
        held += effect.low <= 0.9 <= effect.high
    assert held >= 74


@pytest.mark.parametrize(("nodes", "repeats"), [(3, 2), (3, 3), (4, 1), (4, 2), (5, 3), (8, 1), (9, 2)])
def test_what_is_said_and_its_interval_agree(nodes: int, repeats: int) -> None:
    """No difference is told beside an interval that has it in, and none is denied beside one that leaves it out."""
    intervals = 0
    for seed in range(25):
        mesh = Mesh(nodes, seed)
        comparison = compare([mesh.run(repeats), *(mesh.run(repeats, {None: change}) for change in (0.94, 0.97, 0.99))])
        for one in comparison.groups:
            low, high = one.effect.low, one.effect.high
            assert (low is None) == (high is None)
            if low is None or high is None:
                assert one.why is not None
                assert one.verdict == "not distinguishable"
            else:
                intervals += 1
                assert low <= one.effect.size <= high
                assert (low <= 1 <= high) == (one.verdict == "not distinguishable"), one
        for pair in comparison.pairs:
            assert pair.effect.low is not None
            assert pair.effect.high is not None
            assert not pair.effect.low <= 1 <= pair.effect.high
    assert intervals


def test_a_whole_s_interval_is_what_both_tests_leave() -> None:
    """With one far effect among twelve ranks doubt what the t test is sure of, and the other way round."""
    dice = np.random.default_rng(11)
    doubted = endless = 0
    for _ in range(300):
        effects = dice.standard_t(2, 12) * 0.02 + dice.choice([0.02, 0.08])
        one = Whole(float(effects.mean()), 0.0, None, float(effects.std(ddof=1) / np.sqrt(12)), 11.0, effects)
        for level in (0.025, 0.001, 1e-5):
            low, high, why = one.interval(level)
            p = max(scipy.stats.ttest_1samp(effects, 0).pvalue, scipy.stats.wilcoxon(effects, method="exact").pvalue)
            t_low, t_high = scipy.stats.t.interval(1 - level, 11, loc=one.size, scale=one.error)
            if low is None or high is None:
                endless += 1
                assert why is not None
                assert level < 2 / 2**12
                continue
            assert (low <= 0 <= high) == (p > level)
            assert low <= t_low + 1e-12
            assert high >= t_high - 1e-12
            if low < t_low - 1e-12 or high > t_high + 1e-12:
                doubted += 1
                end = low if low < t_low - 1e-12 else high
                assert signed_rank(effects - end) <= level
                assert signed_rank(effects - end * (1 - 1e-6)) > level
    assert doubted > 3
    assert endless > 3


def test_one_pair_does_not_hide_what_all_others_did() -> None:
    mesh = Mesh(5, 1)
    comparison = compare([mesh.run(3), mesh.run(3, {None: 0.9, (0, 1): 0.5})])
    assert group(comparison).verdict == "worse"
    assert group(comparison).effect.size == pytest.approx(0.9, abs=0.03)


def test_without_repeats_cells_are_not_told_and_small_shifts_neither() -> None:
    mesh = Mesh(8, 2, passes=0.0, nodes_noise=0.0)
    small = group(compare([mesh.run(1), mesh.run(1, {None: 0.97})]))
    assert small.verdict == "not distinguishable"
    assert small.why is not None
    assert "--repeat" in small.why
    large = compare([mesh.run(1), mesh.run(1, {None: 0.8, (0, 1): 0.3})])
    assert group(large).verdict == "worse"
    assert large.pairs == ()
    assert group(large).untold == 56
    few = group(compare([Mesh(2, 2).run(1), Mesh(2, 2).run(1, {None: 0.5})]))
    assert (few.verdict, few.p) == ("not distinguishable", 1.0)
    assert few.why is not None


def test_better_is_another_way_for_latency() -> None:
    mesh = Mesh(5, 4)
    comparison = compare([mesh.run(3), mesh.run(3, {None: 1.3}), mesh.run(3, {None: 0.7})])
    verdicts = [(one.against, one.verdict) for one in comparison.groups if one.cells == "remote"]
    assert verdicts == [(1, "better"), (1, "better"), (2, "worse"), (2, "worse")]
    assert comparison.worse
    assert not compare([mesh.run(3), mesh.run(3, {None: 1.3})]).worse
    sizes = [one.effect.size for one in comparison.groups if one.cells == "remote"]
    assert sizes == pytest.approx([1.3, 1 / 1.3, 0.7, 1 / 0.7], rel=0.05)


def test_every_value_has_a_direction_or_none_knowingly() -> None:
    values = {value for kind in TESTS.values() for value in (*kind.values, *kind.host_values)}
    # What was sent, how many packets that makes, and what else a host keeps in memory, is neither good nor bad.
    assert values - BETTER.keys() == {"sent_bits_per_second", "packets_per_second", *MEMORY_VALUES}
    for value in ("bits_per_second", "transactions_per_second", "mtu_bytes"):
        assert BETTER[value] == "more"
    for value in ("round_trip_seconds", "loss_ratio", "retransmits", "source_cpu_seconds_per_gigabyte"):
        assert BETTER[value] == "less"


def _side(series: Series, value: str, repeats: Sequence[Sequence[Sequence[float]]], name: str = "x") -> Side:
    names = [f"node-{number}" for number in range(len(repeats[0]))]
    gathered = Gathered(series, names)
    for number, layer in enumerate(repeats, 1):
        rows, columns = (part.ravel() for part in np.indices((len(names), len(names))))
        values = np.array(layer, dtype=float).ravel()
        there = np.isfinite(values)
        gathered.fill(rows[there], columns[there], number, {value: values[there]})
    return replace(Mesh(len(names), 0).run(1, name=name), series={series: gathered})


MTU = Series("pod-to-pod", "path-mtu", Parameters(instrument="netmesh"))
UDP = Series("pod-to-pod", "udp-bandwidth", Parameters(instrument="iperf3", streams=1, direction="forward"))


def test_an_mtu_is_exact_and_loss_is_compared_by_its_difference() -> None:
    nan = float("nan")
    before = [[[nan, 1500, 1500], [1500, nan, 1500], [1500, 1500, nan]]]
    after = [[[nan, 1400, 1500], [1500, nan, 1500], [1500, 1500, nan]]]
    comparison = compare([_side(MTU, "mtu_bytes", before), _side(MTU, "mtu_bytes", after)])
    (pair,) = comparison.pairs
    assert (pair.source, pair.target, pair.effect.size, pair.verdict) == ("node-0", "node-1", -100, "worse")
    assert not told(compare([_side(MTU, "mtu_bytes", before), _side(MTU, "mtu_bytes", before)]))
    dice = np.random.default_rng(1)
    none = np.zeros((3, 5, 5))
    some = none.copy()
    some[:, 0, 1:] = 0.05 + dice.normal(0, 0.002, (3, 4))
    lossy = compare([_side(UDP, "loss_ratio", none.tolist()), _side(UDP, "loss_ratio", some.tolist())])
    assert {(one.source, one.verdict) for one in lossy.pairs} == {("node-0", "worse")}
    assert all(one.effect.how == "difference" for one in lossy.pairs)
    assert not told(compare([_side(UDP, "loss_ratio", none.tolist()), _side(UDP, "loss_ratio", none.tolist())]))


def test_nodes_and_series_of_one_run_only_are_said_and_left_out() -> None:
    large, small = Mesh(6, 9), Mesh(5, 9)
    first, second = large.run(2, name="old"), small.run(2, name="new", state="partial")
    second = replace(second, series={LATENCY: second.series[LATENCY]})
    comparison = compare([first, second])
    assert {one.series for one in comparison.groups} == {LATENCY}
    assert group(comparison, LATENCY).pairs == 20
    text = " ".join(comparison.remarks)
    assert "1 node is in old only" in text
    assert "tcp-bandwidth of old was not measured in new" in text
    assert "new is partial" in text
    nothing = compare([first, replace(second, series={})])
    assert "nothing in common" in summaries(nothing)[0]
    with pytest.raises(ValueError, match="two runs"):
        compare([first])


def test_facts_that_differ_are_named() -> None:
    mesh = Mesh(2, 1)
    first, second = mesh.run(1), mesh.run(1)
    nodes = [
        Node(
            name="node-0",
            facts={"kernel": kernel, "boot_id": kernel},
            agents=[Agent(role="pod", address="10.0.0.1", facts={"mtu_bytes": mtu, "tools": {"iperf3": "3.12"}})],
        )
        for kernel, mtu in (("6.1", 1500), ("6.12", 1450))
    ]
    first = replace(first, nodes=(nodes[0],), run=first.run.model_copy(update={"facts": {"cni": "calico"}}))
    second = replace(second, nodes=(nodes[1],), run=second.run.model_copy(update={"facts": {"cni": "cilium"}}))
    facts = {fact.name: fact.answers for fact in compare([first, second]).facts}
    assert facts == {
        "cni": (("calico",), ("cilium",)),
        "kernel": (("6.1",), ("6.12",)),
        "pod.mtu_bytes": (("1500",), ("1450",)),
    }


def test_the_table_has_medians_of_remote_pairs() -> None:
    mesh = Mesh(4, 5)
    first, second = mesh.run(2, name="a"), mesh.run(2, {None: 0.5}, name="b")
    (bandwidth, latency) = overviews([first, second])
    repeats = first.series[BANDWIDTH].repeats("bits_per_second").mean(axis=0)
    wanted = float(np.median(repeats[~np.eye(4, dtype=bool)]))
    assert bandwidth.paths == ("pod-to-pod",)
    assert list(bandwidth.rows[0]) == pytest.approx([wanted])
    assert (bandwidth.rows[1][0] or 0) / wanted == pytest.approx(0.5, rel=0.1)
    assert (latency.test, latency.unit) == ("tcp-latency", "s")
    written = record(compare([first, second]))
    assert written["worse"] is True
    assert written["groups"][0]["effect"]["how"] == "ratio"
    assert [run["name"] for run in written["runs"]] == ["a", "b"]


def test_a_single_repeat_of_zero_is_not_left_out() -> None:
    first, second = (Mesh(8, 5).run(3, name=name) for name in ("before", "after"))
    rows, columns = np.array([1]), np.array([2])
    second.series[BANDWIDTH].fill(rows, columns, 2, {"bits_per_second": np.array([0.0])})
    found = group(compare([first, second]))
    # With the ratios of the repeats that are left, the pair would be as fast as before.
    assert found.effect.how == "difference"
    assert found.effect.size < 0
