"""Measures the product against the raw limit of its database and against what others do."""
