"""Kill, drop, repeat, reorder: what the event log must survive."""
