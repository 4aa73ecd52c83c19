"""The thin kernel every service stands on. It knows no noun of the business outside contracts."""
