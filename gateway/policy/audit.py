"""The ledger's proof: checkpoints and reconciliations."""

from gateway.policy.rows import Operation, Row, operations


def audit_rows() -> list[Operation]:
    """Proofs of the points ledger, and its reconciliation."""
    audit = "/v1/audit/points"
    of_member = "/v1/members/{member_id}/points/proof"
    one = f"{audit}/reconciliations/{{reconciliation_id}}"
    rows: list[Row] = [
        ("show_ledger_proof", "GET", f"{audit}/proof", "audit:read", False),
        ("show_member_proof", "GET", of_member, "audit:read", False),
        ("start_reconciliation", "POST", f"{audit}/reconciliations", "audit:run", False),
        ("show_reconciliation", "GET", one, "audit:read", False),
    ]
    return operations("loyalty", rows)
