"""Whatever sockperf prints, the answer is a reading that can be true, or a failure; never an exception."""

from __future__ import annotations

import math
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fuzzing import cases

from netmesh_agent import histogram
from netmesh_agent.tools.base import Failure, Output, Spec
from netmesh_agent.tools.sockperf import Sockperf

_FOLDER = Path(__file__).parents[2] / "samples" / "sockperf"
_OUTPUTS = [
    tuple(path.with_name(path.name.replace(".meta.json", ending)).read_text() for ending in (".stdout", ".stderr"))
    for path in sorted(_FOLDER.glob("*.meta.json"))
]
_WITH_LOG = [each for each in _OUTPUTS if "packet, txTime" in each[1]]
_NUMBER = re.compile(r"(?<![\w.])-?[0-9][0-9.,e+-]*")
_ODD = st.sampled_from(
    [
        *("-1", "0", "1", "0.000", "0.5", "1.000", "99999999.999999999", "1e-300", "1e308", "18446744073709551538"),
        *("9" * 5000, "٣.٣٣٣", "NaN", "inf", "", "\x1b[0m", "ERROR: ", "\n"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    for _ in range(draw(st.integers(0, 3))):
        # Most of a log is alike: its beginning and its end are where things break.
        numbers = list(_NUMBER.finditer(text))
        near = [*numbers[:40], *numbers[-10:]]
        how = draw(st.sampled_from(["number", "number", "number", "cut", "drop", "double", "insert"]))
        if how == "number" and near:
            found = near[draw(st.integers(0, len(near) - 1))]
            text = text[: found.start()] + draw(_ODD) + text[found.end() :]
            continue
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 200)))
        text = {
            "cut": text[:start],
            "drop": text[:start] + text[end:],
            "double": text[:end] + text[start:],
            "insert": text[:start] + draw(st.text(max_size=20)) + text[start:],
            "number": text,
        }[how]
    return text


@settings(max_examples=cases(400), deadline=None)
@given(data=st.data())
def test_mutated_output_is_read_truthfully_or_refused(data: st.DataObject) -> None:
    instrument = Sockperf()
    spec = Spec(
        data.draw(st.sampled_from(["tcp-latency", "udp-latency"])),
        "sockperf",
        duration_seconds=data.draw(st.sampled_from([1, 2, 3])),
        offered_per_second=data.draw(st.sampled_from([None, 100, 500])),
    )
    stdout, stderr = data.draw(st.sampled_from(_WITH_LOG) | st.sampled_from(_OUTPUTS))
    output = Output(
        data.draw(mutated(stdout)),
        data.draw(mutated(stderr)),
        data.draw(st.sampled_from([0, 1, -15, None])),
        timed_out=data.draw(st.sampled_from([False, False, False, True])),
    )
    for result in (instrument.parse_client(spec, output), instrument.parse_server(spec, output)):
        if isinstance(result, Failure):
            assert result.code
            assert len(result.message) < 500
            continue
        for name, summary in result.values.items():
            figures = [each for each in (summary.mean, summary.min, summary.max) if each is not None]
            assert all(math.isfinite(each) and each >= 0 for each in figures), name
            assert name != "loss_ratio" or summary.mean <= 1
            assert summary.count >= 1
        assert all(math.isfinite(each) and each >= 0 for each in result.reported.values())
        if result.values:
            round_trip = result.values["round_trip_seconds"]
            assert round_trip.max is None or round_trip.max < spec.duration_seconds + 10
            # The histogram is of the same observations.
            longest = histogram.percentile(result.histograms["round_trip_seconds"], 100) / 1e9
            assert round_trip.max is None or round_trip.max <= longest + 1e-12 <= round_trip.max * 1.002
