"""Replies of the operations used most, as the document shows them, under the default programme.

One story: a member enrols, buys for 259 yuan, sends goods for 59 back, and spends 100 points.
"""

from typing import Any, Final

_MEMBER: Final = "mem_01kb2q9y3v5n8r7t6w4x0z1c2d"
_REDEMPTION: Final = "rdm_01kcxq4f8t2m6v9z3b7d1h5kna"
_ORDER: Final = "SO-20261123-0001"
_TIER: Final = {"code": "regular", "name": "普通会员"}
_SPENT_AT: Final = "2026-12-20T07:05:12.480215Z"
_LEFT: Final = {"available": 100, "pending": 0, "held": 0, "debt": 0}
_PAID: Final = [{"id": "lot_01kb2qa4m1c7y9d3f5h8k2n6pq", "points": -100}]

MEMBER: Final[dict[str, Any]] = {
    "id": _MEMBER,
    "state": "active",
    "merged_into": None,
    "nickname": "小红",
    "phone_masked": "138****8000",
    "birthday": "1995-05-20",
    "gender": None,
    "city": "杭州",
    "tags": [],
    "consents": {"personalised_marketing": {"granted": True, "at": "2026-11-20T02:00:00.125Z"}},
    "identities": [{"kind": "external", "app_id": None}, {"kind": "phone", "app_id": None}],
    "tier": _TIER,
    "created_at": "2026-11-20T02:00:00.125Z",
    "updated_at": "2026-11-20T02:00:00.125Z",
}
ORDER: Final[dict[str, Any]] = {
    "order_id": _ORDER,
    "member_id": _MEMBER,
    "state": "paid",
    "paid_fen": 25900,
    "discount_fen": 2000,
    "refunded_fen": 0,
    "points": {
        "earned": 259,
        "clawed_back": 0,
        "status": "pending",
        "available_at": None,
        "expires_at": None,
    },
    "growth": 259,
    "tier": _TIER,
    "paid_at": "2026-11-23T04:00:00Z",
    "completed_at": None,
    "cancelled_at": None,
    "recorded_at": "2026-11-23T04:00:01.310442Z",
}
REFUND: Final[dict[str, Any]] = {
    "refund_id": "RF-20261126-0001",
    "order_id": _ORDER,
    "member_id": _MEMBER,
    "status": "applied",
    "amount_fen": 5900,
    "applied_fen": 5900,
    "refunded_total_fen": 5900,
    "points": {"clawed_back": 59, "debt": 0, "returned": 0},
    "growth": 59,
    "items_match": True,
    "refunded_at": "2026-11-26T02:00:00Z",
    "recorded_at": "2026-11-26T02:00:00.904118Z",
}
REDEMPTION: Final[dict[str, Any]] = {
    "id": _REDEMPTION,
    "member_id": _MEMBER,
    "state": "redeemed",
    "points": 100,
    "returned_points": 0,
    "purpose": "gift",
    "reference": "G-7",
    "hold_expires_at": None,
    "created_at": _SPENT_AT,
    "closed_at": _SPENT_AT,
    "balances": _LEFT,
    "lots": _PAID,
}
WALLET: Final[dict[str, Any]] = {
    "member_id": _MEMBER,
    "points": {**_LEFT, "expiring": [{"points": 100, "expires_at": "2027-12-31T16:00:00Z"}]},
    "tier": {
        **_TIER,
        "growth": 200,
        "next": {"code": "silver", "name": "银牌会员", "growth_needed": 800},
        "valid_until": None,
        "keep_needed": 0,
    },
    "entitlements": [
        {"code": "points_multiplier", "value": 100},
        {"code": "new_member_pack", "value": None},
    ],
    "vouchers": {"usable": 0},
    "stamps": [],
}
STATEMENT: Final[dict[str, Any]] = {
    "data": [
        {
            "id": "pte_01kb2q9y3v5n8r7t6w4x0z1c2d_4",
            "kind": "redeemed",
            "points": -100,
            "balance_after": 100,
            "moved": 100,
            "from_account": "available",
            "to_account": "redeemed",
            "balances_after": _LEFT,
            "cause": {"kind": "redemption", "id": _REDEMPTION},
            "reason": None,
            "occurred_at": _SPENT_AT,
            "recorded_at": _SPENT_AT,
            "lots": _PAID,
        }
    ],
    "next_cursor": None,
}


def shown(example: dict[str, Any]) -> dict[str, Any]:
    """A reply's example, for the `responses` of a route."""
    return {"content": {"application/json": {"example": example}}}
