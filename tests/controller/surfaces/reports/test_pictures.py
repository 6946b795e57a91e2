"""PNG and SVG: what is drawn, by what an SVG says in words and a PNG in pixels."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET  # of a file that this test has just made
from collections import Counter
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from tests.support.meshes import HOSTILE, generated

from netmesh_controller.mesh.document import Parameters
from netmesh_controller.mesh.gather import Gathered
from netmesh_controller.mesh.table import Series
from netmesh_controller.surfaces.reports.drawing.panel import Panel
from netmesh_controller.surfaces.reports.formats import Choice, ReportError, Wanted, format_for, formats
from netmesh_controller.surfaces.reports.pictures import render

BANDWIDTH = Choice(paths=("pod-to-pod",), tests=("tcp-bandwidth",))


def drawn(count: int, ending: str, choice: Choice = BANDWIDTH, **how: object) -> bytes:
    return b"".join(render(Wanted.of(generated(count, **how), choice), ending))  # type: ignore[arg-type]


def words(svg: bytes) -> list[str]:
    """All texts: matplotlib draws letters as paths and says the text in a comment before them."""
    return [text.strip() for text in re.findall(r"<!--(.*?)-->", svg.decode(), re.DOTALL)]


def test_each_figure_of_a_small_mesh_stands_in_its_cell_with_unit_zones_and_names() -> None:
    svg = drawn(4, ".svg", seed=2)
    ET.fromstring(svg)  # noqa: S314  (well-formed; our own file)
    said = Counter(words(svg))
    document = generated(4, seed=2)
    matrix = next(one for one in document.matrices if (one.path, one.value) == ("pod-to-pod", "bits_per_second"))
    expected: Counter[str] = Counter()
    for source, numbers in zip(matrix.sources, matrix.values, strict=True):
        for target, number in zip(matrix.targets, numbers, strict=True):
            if number is not None:
                text = f"{number / 1e9:.2f}"
                expected[f"[{text}]" if source == target else text] += 1
    assert not expected - said
    assert {"Gbit/s", "zone-a", "zone-b", "zone-c", *matrix.sources} <= said.keys()
    assert any(text.startswith("mesh of 4: 4 nodes") for text in said)


def test_a_gap_is_hatched_in_its_own_colour_and_named() -> None:
    whole = drawn(10, ".png", zones=0)
    picture = imread(io.BytesIO(whole))
    orange = np.array(mpl.colors.to_rgb("#c4540a"))
    near = (np.abs(picture[..., :3] - orange) < 0.08).all(axis=-1)
    assert near.sum() > 200, "no hatch is drawn"
    assert any("gaps: timeout" in text for text in words(drawn(10, ".svg", zones=0)))


def test_names_are_text_and_no_formula_or_markup() -> None:
    svg = drawn(2, ".svg", zones=0, name=lambda place: "$\\frac{1}{0}$" if place else HOSTILE)
    root = ET.fromstring(svg)  # noqa: S314  (well-formed; our own file)
    assert not [one for one in root.iter() if one.tag.endswith(("}img", "}script"))]
    assert any("$\\frac{1}{0}$" in text for text in words(svg))


def test_many_names_are_thinned() -> None:
    said = words(drawn(120, ".svg", paths=("host-to-host",), choice=Choice(tests=("tcp-bandwidth",))))
    numbers = [text for text in said if text.isdigit() and 0 < int(text) <= 120]
    assert 40 <= len(numbers) / 2 <= 60


def test_four_pictures_stand_two_by_two_and_say_what_names_are_without() -> None:
    svg = drawn(24, ".svg", Choice(), zones=0, histograms=False)
    panels = re.findall(r'<g id="axes_(\d+)">', svg.decode())
    titles = [text for text in words(svg) if text.startswith(("pod-to-pod: ", "host-to-host: "))]
    assert len(titles) == 4
    assert len(panels) == 8, "each with its colour bar"
    width, height = (
        float(side) for side in re.findall(r'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"', svg.decode())[0]
    )
    assert 0.6 < width / height < 1.7
    assert any("Names without 'worker-' in front." in text for text in words(svg))
    assert not any("Names without" in text for text in words(drawn(4, ".svg")))


def test_the_same_run_is_the_same_file() -> None:
    assert drawn(3, ".svg") == drawn(3, ".svg")


def test_a_statistic_that_there_is_not_is_told() -> None:
    with pytest.raises(ReportError, match="--statistic: no value has 'p99'; there are max, mean, min, p50"):
        drawn(3, ".png", Choice(tests=("tcp-bandwidth",), statistic="p99"))


def test_endings_have_their_format_and_others_are_refused() -> None:
    assert {".html", ".png", ".svg", ".csv", ".json", ".yaml", ".yml"} <= formats().keys()
    with pytest.raises(ReportError, match=r"x\.pdf must end in \.csv, "):
        format_for(Path("x.pdf"))


@pytest.mark.parametrize("known", [False, True])
def test_what_measured_nothing_has_no_colour_bar(known: bool) -> None:
    gathered = Gathered(Series("pod-to-pod", "tcp-latency", Parameters(instrument="qperf")), ["node-1", "node-2"])
    if known:
        gathered.put("node-1", "node-2", 1, None, {"round_trip_seconds": 1e-4})
    figure = Figure()
    Panel(gathered.table("round_trip_seconds"), {}).draw(figure.subplots())
    assert len(figure.axes) == 1 + known
