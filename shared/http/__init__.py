"""The HTTP side every service shares: application, problems, access, idempotency, paging."""
