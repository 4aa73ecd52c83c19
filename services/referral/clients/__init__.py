"""Neighbours that referral calls."""
