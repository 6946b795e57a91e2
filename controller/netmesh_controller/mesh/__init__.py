"""Pure: nodes, plans, schedules, cells, matrices. No I/O, no asyncio."""
