"""Synthetic twins of the supported data sets: what the demo runs on, and what the tests check against."""
