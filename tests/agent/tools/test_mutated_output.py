"""Whatever a program prints, the answer is a reading that can be true, or a failure; never an exception."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.fuzzing import cases

from netmesh_agent.tools import INSTRUMENTS
from netmesh_agent.tools.base import Failure, Output, Reading, Spec

_SAMPLES = Path(__file__).parents[2] / "samples"
_TEXTS = {tool: [path.read_text() for path in sorted((_SAMPLES / tool).glob("*.stdout"))] for tool in INSTRUMENTS}
_NUMBER = re.compile(r"(?<![\w.])-?[0-9][0-9.,e+-]*")
_ODD = st.sampled_from(
    [
        *("-1", "0", "1", "0.5", "1e-300", "5e-324", "1e308", "1e400", "-1e400", "18446744073709551538", "9" * 5000),
        *("NaN", "Infinity", "null", "true", '"5"', "[]", "{}", ""),
    ]
)
_TESTS = {
    "iperf3": ("tcp-bandwidth", "udp-bandwidth"),
    "qperf": ("tcp-bandwidth", "udp-bandwidth", "tcp-latency", "udp-latency"),
}


@st.composite
def mutated(draw: st.DrawFn, tool: str) -> str:
    text: str = draw(st.sampled_from(_TEXTS[tool]))
    for _ in range(draw(st.integers(1, 4))):
        numbers = list(_NUMBER.finditer(text))
        how = draw(st.sampled_from(["number", "number", "number", "cut", "drop", "double", "insert"]))
        if how == "number" and numbers:
            found = numbers[draw(st.integers(0, len(numbers) - 1))]
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


def can_be_true(reading: Reading) -> None:
    for name, summary in reading.values.items():
        figures = [each for each in (summary.mean, summary.min, summary.max) if each is not None]
        assert all(math.isfinite(each) and each >= 0 for each in figures), name
        assert name != "loss_ratio" or summary.mean <= 1
        assert summary.count >= 1
    for name, series in reading.intervals.items():
        assert all(math.isfinite(each) and each >= 0 for each in series), name
        assert name != "loss_ratio" or all(each <= 1 for each in series)
    assert all(math.isfinite(each) for each in reading.reported.values())


@pytest.mark.parametrize("tool", sorted(_TESTS))
@settings(max_examples=cases(300), deadline=None)
@given(data=st.data())
def test_mutated_output_is_read_truthfully_or_refused(tool: str, data: st.DataObject) -> None:
    instrument = INSTRUMENTS[tool]
    spec = Spec(
        data.draw(st.sampled_from(_TESTS[tool])),
        tool,
        duration_seconds=data.draw(st.sampled_from([1, 2, 3])),
        omit_seconds=data.draw(st.sampled_from([0, 1])),
        interval_seconds=data.draw(st.sampled_from([0.1, 0.5, 1.0])),
    )
    output = Output(
        data.draw(mutated(tool)),
        data.draw(st.sampled_from(["", "iperf3: parameter error - x\n", "server: \n"]) | st.text(max_size=50)),
        data.draw(st.sampled_from([0, 1, -15, None])),
        timed_out=data.draw(st.booleans()),
    )
    for result in (instrument.parse_client(spec, output), instrument.parse_server(spec, output)):
        if isinstance(result, Failure):
            assert result.code
            assert result.message
        else:
            can_be_true(result)
