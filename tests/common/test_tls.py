"""The connections between controller and agents, by real TLS."""

from pathlib import Path

import grpc

from netmesh.v1 import agent_pb2, agent_pb2_grpc
from netmesh_common import tls
from netmesh_controller.identity import make_identity

ANSWER = "y" * 300_000


class Echo(agent_pb2_grpc.AgentServicer):
    async def OpenEndpoint(  # noqa: N802  # the contract has its names
        self,
        request: agent_pb2.OpenEndpointRequest,
        context: object,  # noqa: ARG002
    ) -> agent_pb2.OpenEndpointReply:
        return agent_pb2.OpenEndpointReply(endpoint=request.group, command=ANSWER)


async def test_small_frames_carry_messages_of_any_size(tmp_path: Path) -> None:
    make_identity(tmp_path / "mesh")
    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    agent_pb2_grpc.add_AgentServicer_to_server(Echo(), server)  # type: ignore[abstract]  # it is asked nothing else
    port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(tmp_path / "mesh" / "agent"))
    await server.start()
    frame = dict(tls.CHANNEL_OPTIONS)["grpc.tsi.max_frame_size"]
    try:
        certificates = tls.Certificates.read(tmp_path / "mesh" / "controller")
        async with tls.channel(f"127.0.0.1:{port}", certificates) as connection:
            stub = agent_pb2_grpc.AgentStub(connection)
            for size in (1, frame - 1, frame, frame + 1, 500 * frame):
                reply = await stub.OpenEndpoint(agent_pb2.OpenEndpointRequest(group="x" * size))
                assert (len(reply.endpoint), reply.command) == (size, ANSWER)
    finally:
        await server.stop(0)
