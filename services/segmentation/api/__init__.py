"""Segmentation over HTTP."""
