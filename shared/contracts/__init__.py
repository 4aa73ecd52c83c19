"""The published language: event envelope and one file per producer. Data only."""
