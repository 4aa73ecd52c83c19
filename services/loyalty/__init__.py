"""Loyalty: members, the points ledger, tiers, vouchers; the durable recorder of orders."""
