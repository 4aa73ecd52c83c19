"""Write use-cases: load, decide, save, record; one transaction each."""
