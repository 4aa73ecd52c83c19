"""The whole system under load, killed at random, and judged by what it had promised."""
