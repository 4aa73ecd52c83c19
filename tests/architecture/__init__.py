"""The house keeps its rules; each rule has been seen to fail."""
