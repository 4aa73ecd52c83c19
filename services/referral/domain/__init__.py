"""The rules of referral: pure, time is an argument."""
