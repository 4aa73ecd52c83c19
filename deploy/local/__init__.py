"""Runs the whole product on one machine, with embedded PostgreSQL and Valkey."""
