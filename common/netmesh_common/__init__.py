"""What both ends need, and no more."""

import os

# gRPC's core writes handshakes that fail to stderr by itself; what they mean is told in netmesh's own sentences.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
