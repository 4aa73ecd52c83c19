"""Write use-cases: load, decide, save, record."""
