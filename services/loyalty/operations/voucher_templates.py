"""Making voucher templates."""

from typing import Any

from services.loyalty.domain.voucher_templates import check_validity, check_worth
from services.loyalty.domain.vouchers import Validity, Worth
from services.loyalty.store.tables import VoucherTemplate
from shared.db import Transaction
from shared.kernel.ids import new_id


async def create_template(
    transaction: Transaction,
    *,
    name: str,
    worth: Worth,
    scope: dict[str, Any],
    validity: Validity,
    per_member_limit: int | None,
    stock: int | None,
    stackable: bool,
) -> VoucherTemplate:
    """Make a template, active at once. Raises InvalidField for terms that contradict each other."""
    check_worth(worth)
    check_validity(validity)
    template = VoucherTemplate(
        id=new_id("vtp", at=transaction.now),
        name=name,
        kind=worth.kind,
        amount_fen=worth.amount_fen,
        percent_off=worth.percent_off,
        cap_fen=worth.cap_fen,
        threshold_fen=worth.threshold_fen,
        scope=scope,
        validity_days=validity.days,
        valid_from=validity.valid_from,
        valid_until=validity.valid_until,
        per_member_limit=per_member_limit,
        stock=stock,
        stackable=stackable,
        state="active",
        created_by=transaction.actor,
        created_at=transaction.now,
    )
    transaction.session.add(template)
    return template
