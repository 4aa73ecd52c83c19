"""What an API key may be allowed."""

from typing import Final

#: What an API key may be allowed. A manager key has them all.
SCOPES: Final = {
    "members:read": ("查看会员", "See members"),
    "members:write": ("登记和修改会员", "Enrol and change members"),
    "members:manage": ("合并会员", "Merge members"),
    "members:erase": ("注销会员", "Erase members"),
    "members:export": ("导出会员资料（含手机号等身份）", "Export members, identities included"),
    "orders:read": ("查看订单", "See orders"),
    "orders:write": ("上报订单与退款", "Report orders and refunds"),
    "orders:import": ("导入历史订单", "Import order history"),
    "points:read": ("查看钱包与积分", "See wallets and points"),
    "points:write": ("使用积分", "Spend points"),
    "points:manage": ("调整、延期、补回积分", "Adjust, extend and reinstate points"),
    "points:import": ("导入积分", "Import points"),
    "points:notify": ("回报到期通知的送达", "Report deliveries of notices"),
    "checkout:write": ("结算报价与占用", "Quote and reserve at checkout"),
    "tiers:read": ("查看等级", "See tiers"),
    "vouchers:read": ("查看优惠券", "See vouchers"),
    "vouchers:write": ("发放和核销优惠券", "Issue and redeem vouchers"),
    "vouchers:manage": ("管理券模板", "Manage voucher templates"),
    "referrals:read": ("查看推荐", "See referrals"),
    "referrals:manage": ("管理推荐计划", "Manage the referral programme"),
    "segments:read": ("查看客群", "See segments"),
    "segments:run": ("运行分群计算", "Run segmentation"),
    "audit:read": ("查看账本证明", "See the ledger's proof"),
    "audit:run": ("核对账本", "Reconcile the ledger"),
    "operations:read": ("查看运行状态", "See the state of the system"),
    "operations:manage": ("处理搁置事件", "Decide parked events"),
    "access:manage": ("管理密钥", "Manage API keys"),
    "clock:read": ("查看沙箱时钟", "See the sandbox's clock"),
    "clock:manage": ("拨快沙箱时钟", "Move the sandbox's clock"),
}
