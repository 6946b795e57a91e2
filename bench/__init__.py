"""What netmesh costs: durations, rates and memory, printed with their goals and asserted nowhere."""
