"""The auditor's door: whether the ledger is as it was written, told from its rows alone."""
