"""What agents are told of STAMP: the sessions of their reflectors, and the continuous probe."""

from __future__ import annotations

from dataclasses import dataclass, field

from netmesh.v1 import agent_pb2
from netmesh_controller.mesh.probing.checks import Check
from netmesh_controller.mesh.probing.windows import BASE_SECONDS


@dataclass(frozen=True, slots=True)
class StampSession:
    """One session of a STAMP reflector; see `netmesh.v1.StampSession`. `ssid` 0: the agent chooses one."""

    ssid: int = 0
    peers: tuple[str, ...] = ()
    key: bytes | None = field(default=None, repr=False)
    same_clock: bool = False

    def message(self) -> agent_pb2.StampSession:
        """As it travels."""
        return agent_pb2.StampSession(ssid=self.ssid, peers=self.peers, key=self.key or b"", same_clock=self.same_clock)


@dataclass(frozen=True, slots=True)
class ProbePeer:
    """A reflector that an agent probes; see `netmesh.v1.ProbePeer`."""

    address: str
    port: int
    ssid: int
    key: bytes | None = field(default=None, repr=False)
    same_clock: bool = False


@dataclass(frozen=True, slots=True)
class Probing:
    """The continuous probe of an agent; see `netmesh.v1.ConfigureProbingRequest`.

    A peer's place in `peers` is its place in the columns of the reports of this `version`.
    """

    version: int
    peers: tuple[ProbePeer, ...]
    answered: tuple[StampSession, ...]
    interval_seconds: float = 1.0
    timeout_seconds: float = 1.0
    window_seconds: float = float(BASE_SECONDS)
    lease_seconds: float = 86400.0
    checks: tuple[Check, ...] = ()
    checks_interval_seconds: float = 10.0

    def message(self, term: int) -> agent_pb2.ConfigureProbingRequest:
        """As it travels."""
        return agent_pb2.ConfigureProbingRequest(
            term=term,
            version=self.version,
            interval_seconds=self.interval_seconds,
            timeout_seconds=self.timeout_seconds,
            window_seconds=self.window_seconds,
            lease_seconds=self.lease_seconds,
            peers=[
                agent_pb2.ProbePeer(
                    address=peer.address,
                    port=peer.port,
                    ssid=peer.ssid,
                    key=peer.key or b"",
                    same_clock=peer.same_clock,
                )
                for peer in self.peers
            ],
            answered=[session.message() for session in self.answered],
            checks=[
                agent_pb2.Check(name=one.name, kind=one.kind, address=one.address, port=one.port, question=one.question)
                for one in self.checks
            ],
            checks_interval_seconds=self.checks_interval_seconds,
        )
