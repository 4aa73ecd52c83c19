"""The CDNOW order history: 69,659 real transactions of 23,570 customers, 1997-01 to 1998-06.

Published by Fader and Hardie (https://www.brucehardie.com/datasets/) and carried by the package
`lifetimes`. Dollars are taken as yuan.
"""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from deploy.demo.api import Api
from deploy.demo.screen import Progress, chapter, say, table, yuan

#: The last day of the data: the segments are those of that evening.
AS_OF: Final = "1998-06-30"
_FILE: Final = "datasets/CDNOW_master.txt"


@dataclass(frozen=True, kw_only=True)
class HistoricOrder:
    """One line of the file."""

    number: int
    customer: str
    day: str
    paid_fen: int

    def line(self) -> bytes:
        """As a line of the import."""
        return (
            json.dumps(
                {
                    "order_id": f"cdnow-{self.number}",
                    "identity_value": f"cdnow-{self.customer}",
                    "paid_fen": self.paid_fen,
                    "paid_at": f"{self.day}T12:00:00+08:00",
                }
            ).encode()
            + b"\n"
        )


def read_orders() -> Iterator[HistoricOrder]:
    """Every transaction of the file, in its order."""
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        raise SystemExit("缺少演示数据，请用 make demo 运行 / the data is missing: use make demo")
    with (Path(spec.origin).parent / _FILE).open() as file:
        next(file)
        for number, line in enumerate(file, start=1):
            customer, day, _count, dollars = line.split()
            yield HistoricOrder(
                number=number,
                customer=customer,
                day=f"{day[:4]}-{day[4:6]}-{day[6:]}",
                paid_fen=int(Decimal(dollars) * 100),
            )


def import_history(api: Api) -> None:
    """Send the whole history and show how far it has come."""
    orders = list(read_orders())
    chapter("导入真实历史订单", "importing a real order history")
    customers = {order.customer for order in orders}
    say(f"  CDNOW: {len(orders):,} 笔订单 orders, {len(customers):,} 位顾客 customers")
    progress, state = Progress(), {}
    for state in api.upload("/v1/orders/imports", (order.line() for order in orders)):
        progress.show(
            f"{state['lines']:>7,} / {len(orders):,} 行 lines"
            f"   新订单 orders {state['orders']:,}   已有 repeated {state['repeated']:,}"
            f"   新会员 members {state['members']:,}   拒绝 refused {state['refused']:,}"
        )
    progress.done()
    if not state or state["state"] != "done" or state["refused"]:
        raise SystemExit(f"导入未完成 / the import did not end well: {state}")


def show_segments(api: Api) -> None:
    """Score the population as of the last day, and print the segments."""
    chapter("RFM 客户分群", f"segments as of {AS_OF}")
    progress = Progress()
    api.wait_for(lambda: _all_heard(api, progress), what="segmentation to hear of all orders")
    progress.done()
    progress = Progress()
    run = api.post("/v1/segment_runs", {"as_of": AS_OF})

    def finished() -> bool | None:
        now = api.get(f"/v1/segment_runs/{run['id']}")
        progress.show(f"{now['state']}  {now['scored']:,} / {now['total'] or 0:,}")
        if now["state"] == "failed":
            raise SystemExit("计算失败 / the run failed; see make logs")
        return True if now["state"] == "done" else None

    api.wait_for(finished, what="segment run")
    progress.done()
    for scheme, title in (("segment", "八类 · eight types"), ("group", "运营分组 · groups")):
        found = api.get("/v1/segments", as_of=AS_OF, scheme=scheme)["data"]
        rows = [
            (
                one["name"],
                one["code"],
                f"{one['size']:,}",
                f"{one['share']:.1%}",
                yuan(one["monetary_fen"]),
            )
            for one in found
            if one["size"]
        ]
        head = (title, "code", "人数 size", "占比 share", "365天消费 value (CNY)")
        say("\n" + table(head, rows, left=2))


def _all_heard(api: Api, progress: Progress) -> bool | None:
    """Whether segmentation has applied everything that loyalty has told so far."""
    log = api.get("/v1/services/loyalty/event_log")
    heard = api.get("/v1/services/segmentation/event_log")["subscriptions"]
    behind = log["unsequenced"] + log["head"] - sum(one["pos"] for one in heard)
    progress.show(f"事件 events: 还有 {behind} 条待处理 to go")
    return True if behind == 0 else None
