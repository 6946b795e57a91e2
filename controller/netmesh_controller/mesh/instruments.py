"""The instruments as a plan needs to know them: what they can be asked for, and what a test of theirs costs in time.

The agent's own adapters have the last word; what stands here saves asking every pair in vain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a measuring program takes.

    `title` is its name in a sentence. `message_bytes` are the smallest and largest message by protocol; `omits`:
    it can leave a warm-up out; `paces_bits`: it can hold a rate in bits a second. `overhead_seconds` is what a test
    takes beyond its own seconds; `before_seconds` and `after_seconds` what of it always comes before and after them.
    """

    name: str
    title: str
    families: tuple[int, ...] = (4, 6)
    most_streams: int = 1
    message_bytes: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    mss_bytes: tuple[int, int] | None = None
    omits: bool = False
    paces_bits: bool = False
    congestion: bool = False
    overhead_seconds: float = 0.05
    before_seconds: float = 0.0
    after_seconds: float = 0.0


STAMP = "stamp"

# Beyond its test iperf3 took 7 to 40 ms on an idle machine, qperf 4 to 7 ms, own programs 40 to 50 ms; the calls that
# start and end them come on top. sockperf is silent for 2.21 to 2.29 s before its first message. STAMP's sender starts
# in 0.3 s, and tells what it found 0.1 to 0.2 s after the test.
INSTRUMENTS: dict[str, Instrument] = {
    instrument.name: instrument
    for instrument in (
        Instrument(
            "iperf3",
            "iperf3",
            most_streams=128,
            message_bytes={"tcp": (1, 1_048_576), "udp": (16, 65_507)},
            # 88 is Linux's TCP_MIN_MSS, 9216 the program's own limit.
            mss_bytes=(88, 9216),
            omits=True,
            paces_bits=True,
            congestion=True,
        ),
        Instrument(
            "qperf",
            "qperf",
            message_bytes={"tcp": (1, 2**31 - 1), "udp": (1, 65_507), "sctp": (1, 2**31 - 1)},
        ),
        Instrument(
            "sockperf",
            "sockperf",
            families=(4,),
            # Its own header, and the most that one UDP datagram carries; it holds TCP to that too.
            message_bytes={"tcp": (14, 65_507), "udp": (14, 65_507)},
            overhead_seconds=2.3,
            before_seconds=2.2,
        ),
        Instrument(
            STAMP,
            "STAMP",
            # Its base packet; and jumbo frames.
            message_bytes={"udp": (44, 9000)},
            omits=True,
            overhead_seconds=0.5,
            before_seconds=0.15,
        ),
        Instrument(
            "netmesh",
            "netmesh's own program",
            message_bytes={"tcp": (1, 1_048_576)},
            omits=True,
            congestion=True,
            overhead_seconds=0.1,
        ),
    )
}
