"""The neighbours that segmentation calls."""
