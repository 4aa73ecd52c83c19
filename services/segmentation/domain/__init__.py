"""The rules of segmentation, pure: measures, scores, segments."""
