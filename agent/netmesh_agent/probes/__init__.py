"""netmesh's own measuring programs, each started as `python -m netmesh_agent.probes.NAME server|client …`.

They are programs of their own, as iperf3 and qperf are: a process that only measures is not disturbed by the agent's
work, its cost is counted apart, and it ends with its process group. They print one JSON object and nothing else; a
failure is `{"error": {"code", "message"}}` with exit code 1. They start in some 30 ms: the standard library alone, and
of that only what loads fast (no argparse, dataclasses or typing).
"""
