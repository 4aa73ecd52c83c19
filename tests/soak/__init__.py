"""Long runs, for releases rather than for every change."""
