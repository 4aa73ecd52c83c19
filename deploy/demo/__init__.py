"""`make demo`: real order history and the whole referral circle, over the public API."""
