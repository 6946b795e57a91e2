"""What a host sample tells, by the names of the contract (`netmesh.v1.HostSamples`): the same at both of its ends."""

from __future__ import annotations

# How a host's time that was not idle was spent, in the order of `mode_seconds` (proc(5), /proc/stat): guest time stands
# in user.
MODES = ("user", "nice", "system", "irq", "softirq", "steal")
# Columns of what may be unknown at one moment.
FIGURES = (
    "memory_available_bytes",
    "tool_cpu_seconds",
    "tool_memory_bytes",
    "throttled_seconds",
    "pressure_seconds",
    "tool_wait_seconds",
    "agent_wait_seconds",
    "loop_late_seconds",
)
# How far counters of one moment may contradict each other: the kernel rounds them to ticks of 10 ms (or 4 ms), and a
# sampling process can be held up in between. Beyond this they are wrong, and no figure is made of them.
SLACK_SECONDS = 0.1
