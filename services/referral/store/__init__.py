"""All SQL of referral."""
