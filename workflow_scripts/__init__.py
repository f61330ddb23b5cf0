"""Casebook: clinical imaging data sets turned into benchmark scenarios with verified ground truth."""
