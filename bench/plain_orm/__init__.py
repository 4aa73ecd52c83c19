"""Earn and redeem as tutorials write them: FastAPI, SQLModel, one ORM session per request.

The same tables, the same rows, the same durability and idempotency; none of the speed.
"""
