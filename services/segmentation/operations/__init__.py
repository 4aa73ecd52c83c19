"""What segmentation does, one transaction each."""
