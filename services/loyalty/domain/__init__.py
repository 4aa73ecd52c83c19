"""The rules of this service: pure, time is an argument."""
