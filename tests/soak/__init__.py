"""Proofs that take hours: a million operations, a thousand kills (`make soak`)."""
