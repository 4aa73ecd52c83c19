"""Write use-cases of access, and who a caller is."""
