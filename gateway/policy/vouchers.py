"""Vouchers and checkout."""

from gateway.policy.rows import BULK_BODY_BYTES, Operation, Row, operations


def checkout_rows() -> list[Operation]:
    """Quotes and reservations."""
    reservation = "/v1/checkout/reservations/{reservation_id}"
    rows: list[Row] = [
        ("quote_checkout", "POST", "/v1/checkout/quotes", "checkout:write", False),
        ("reserve_checkout", "POST", "/v1/checkout/reservations", "checkout:write", True),
        ("show_reservation", "GET", reservation, "checkout:write", False),
        ("release_reservation", "DELETE", reservation, "checkout:write", False),
    ]
    return operations("loyalty", rows)


def voucher_rows() -> list[Operation]:
    """Vouchers and their templates."""
    templates = "/v1/voucher_templates"
    template = f"{templates}/{{template_id}}"
    voucher = "/v1/vouchers/{voucher_id}"
    of_member = "/v1/members/{member_id}/vouchers"
    rows: list[Row] = [
        ("create_voucher_template", "POST", templates, "vouchers:manage", False),
        ("list_voucher_templates", "GET", templates, "vouchers:read", False),
        ("show_voucher_template", "GET", template, "vouchers:read", False),
        ("list_member_vouchers", "GET", of_member, "vouchers:read", False),
        ("show_voucher", "GET", voucher, "vouchers:read", False),
        ("redeem_voucher", "POST", f"{voucher}/redemption", "vouchers:write", True),
    ]
    bulk = Operation(
        id="issue_vouchers",
        method="POST",
        path=f"{template}/vouchers",
        service="loyalty",
        scope="vouchers:write",
        body_bytes=BULK_BODY_BYTES,
        keyed=True,
    )
    return [*operations("loyalty", rows), bulk]
