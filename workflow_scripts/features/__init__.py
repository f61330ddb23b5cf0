"""The feature database: every nodule of every data set in one table, for questions of one line."""
