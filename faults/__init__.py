"""Faults, counted: what a killed process, a full disk, a read-only store or a server that is cut costs. `make faults`."""
