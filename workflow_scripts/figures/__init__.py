"""The figures and tables of a paper."""
