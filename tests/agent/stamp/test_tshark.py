"""Wireshark's dissector of TWAMP-Test, whose unauthenticated packets STAMP's are (RFC 8762 §4), reads ours."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from netmesh_agent.stamp import packets, timestamps, tlvs

SECOND = 1_000_000_000
NOW = 1_795_000_000 * SECOND
REFLECTOR_PORT, SENDER_PORT = 862, 40_000


def dissect(path: Path, *frames: tuple[int, int, bytes]) -> list[dict[str, Any]]:
    """tshark's layers of UDP packets, each given as source port, destination port and payload."""
    capture = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))  # raw IP
    for source, destination, payload in frames:
        udp = struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload
        addresses = bytes([10, 0, 0, 1 + (source == REFLECTOR_PORT), 10, 0, 0, 1 + (destination == REFLECTOR_PORT)])
        packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + addresses + udp
        capture += struct.pack("<IIII", NOW // SECOND, 0, len(packet), len(packet)) + packet
    file = path / "stamp.pcap"
    file.write_bytes(capture)
    command = ["tshark", "-n", "-r", str(file), "-d", f"udp.port=={REFLECTOR_PORT},twamp.test", "-T", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    layers = [frame["_source"]["layers"] for frame in json.loads(answer.stdout)]
    for layer in layers:
        assert "_ws.malformed" not in layer, layer
        assert "_ws.expert" not in json.dumps(layer.get("twamp.test", {})), layer
    return layers


@pytest.fixture(autouse=True)
def _tshark() -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark, which reads our packets back, is not installed")


def stamp(moment: int) -> int:
    return timestamps.ntp_from_nanoseconds(moment)


@pytest.mark.parametrize("room", [0, None, 200])
def test_tshark_reads_requests_and_replies(tmp_path: Path, room: int | None) -> None:
    area = tlvs.request_tlvs(room)
    request = packets.Request(41, stamp(NOW), timestamps.encode_error_estimate(0.001), 7)
    answered = tlvs.plan(area, 41).reply if area else b""
    reply = packets.Reply(12, stamp(NOW + 3), 0x0101, 7, stamp(NOW + 2), *request[:3], 61)
    sent, got = dissect(
        tmp_path,
        (SENDER_PORT, REFLECTOR_PORT, packets.encode_request(request, tlvs=area)),
        (REFLECTOR_PORT, SENDER_PORT, packets.encode_reply(reply, tlvs=answered)),
    )
    asked, told = sent["twamp.test"], got["twamp.test"]
    assert asked["twamp.test.seq_number"] == "41"
    assert told["twamp.test.seq_number"] == "12"
    assert told["twamp.test.sender_seq_number"] == "41"
    assert told["twamp.test.sender_ttl"] == "61"
    assert told["twamp.test.sender_timestamp"] == asked["twamp.test.timestamp"]
