"""Codes, referrals and their programme."""

from gateway.policy.rows import Operation, Row, operations


def referral_rows() -> list[Operation]:
    """Codes, referrals, the referral programme."""
    member = "/v1/members/{member_id}"
    rows: list[Row] = [
        ("show_referral_code", "GET", f"{member}/referral_code", "referrals:read", False),
        ("list_member_referrals", "GET", f"{member}/referrals", "referrals:read", False),
        ("list_referrals", "GET", "/v1/referrals", "referrals:read", False),
        ("show_referral", "GET", "/v1/referrals/{referral_id}", "referrals:read", False),
        ("show_referral_programme", "GET", "/v1/referral_programme", "referrals:read", False),
        ("update_referral_programme", "PUT", "/v1/referral_programme", "referrals:manage", False),
    ]
    return operations("referral", rows)
