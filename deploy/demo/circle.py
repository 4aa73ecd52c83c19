"""The referral circle: A brings B, B buys, both are rewarded, B returns everything."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.demo.api import Api
from deploy.demo.screen import chapter, say, yuan

_PAID_FEN = 29_900


@dataclass(frozen=True, kw_only=True)
class Person:
    """A member, by the name we call them."""

    name: str
    id: str


def play(api: Api) -> None:
    """Play the circle from beginning to end, printing each wallet as it changes."""
    chapter("老带新闭环", "the referral circle")
    run = secrets.token_hex(4)
    referrer = _enrol(api, "小雅 (A)", f"demo-{run}-a")
    code = api.get(f"/v1/members/{referrer.id}/referral_code")["code"]
    say(f"  推荐码 referral code: {code}")
    referee = _enrol(api, "小波 (B)", f"demo-{run}-b", referral_code=code)
    welcome = _vouchers(api, referee, count=1)[0]
    _vouchers(api, referrer, count=1)
    _show(api, "B 注册：双方各得 20 元券", "B enrols: 20 CNY for each", referrer, referee)

    order = f"demo-{run}-1"
    api.post("/v1/orders", _order(order, referee))
    _vouchers(api, referrer, count=2)
    _show(api, "B 首单支付：A 再得 50 元券", "B's first order: 50 CNY for A", referrer, referee)

    used = {"order_id": order, "order_fen": _PAID_FEN}
    api.post(f"/v1/vouchers/{welcome['id']}/redemption", used)
    _show(api, "B 核销 20 元券", "B uses the voucher", referee)

    api.post(f"/v1/orders/{order}/completion", {"completed_at": _now()})
    _show(api, "B 确认收货，积分进入 7 天等待期", "B received it: points wait 7 days", referee)

    refund = {"refund_id": f"{order}-r", "amount_fen": _PAID_FEN, "refunded_at": _now()}
    api.post(f"/v1/orders/{order}/refunds", refund)
    _vouchers(api, referrer, count=1)
    _show(
        api, "B 全额退款：积分与 50 元券收回", "refund in full: all taken back", referrer, referee
    )


def _enrol(api: Api, name: str, identity: str, **more: str) -> Person:
    body = {"identities": [{"kind": "external", "value": identity}], "nickname": name, **more}
    return Person(name=name, id=api.post("/v1/members", body)["id"])


def _order(order_id: str, member: Person) -> dict[str, object]:
    return {
        "order_id": order_id,
        "member_id": member.id,
        "paid_fen": _PAID_FEN,
        "items": [{"sku": "TEA-250", "category": "tea", "quantity": 1, "paid_fen": _PAID_FEN}],
        "paid_at": _now(),
    }


def _vouchers(api: Api, member: Person, *, count: int) -> list[dict[str, Any]]:
    """Wait until a member has so many usable vouchers: rewards come by themselves, in moments."""

    def look() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = api.get(f"/v1/members/{member.id}/vouchers", state="issued")[
            "data"
        ]
        return found if len(found) == count else None

    return api.wait_for(look, what=f"{member.name}: {count} vouchers")


def _show(api: Api, chinese: str, english: str, *members: Person) -> None:
    say(f"\n  ● {chinese}  ·  {english}")
    for member in members:
        wallet = api.get(f"/v1/members/{member.id}/wallet")
        points, tier = wallet["points"], wallet["tier"]
        held = api.get(f"/v1/members/{member.id}/vouchers", state="issued")["data"]
        vouchers = "、".join(f"{yuan(one['amount_fen'])} 元" for one in held) or "无"
        say(
            f"      {member.name}"
            f"  积分 points: {points['available']} 可用 + {points['pending']} 待生效"
            f"   等级 tier: {tier['name']} (成长值 {tier['growth']})"
            f"   券 vouchers: {vouchers}"
        )


def _now() -> str:
    return datetime.now(UTC).isoformat()
