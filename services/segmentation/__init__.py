"""Segmentation: who the members are by what they bought, and what to do about it."""
