"""The instruments: measuring programs, one adapter each, without I/O."""

from __future__ import annotations

from netmesh_agent.tools.base import Instrument
from netmesh_agent.tools.iperf3 import Iperf3
from netmesh_agent.tools.own import Own
from netmesh_agent.tools.qperf import Qperf
from netmesh_agent.tools.sockperf import Sockperf
from netmesh_agent.tools.stamp import Stamp

INSTRUMENTS: dict[str, Instrument] = {
    instrument.name: instrument for instrument in (Iperf3(), Qperf(), Sockperf(), Stamp(), Own())
}
