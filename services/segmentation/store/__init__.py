"""All SQL of segmentation."""
