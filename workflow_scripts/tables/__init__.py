"""The tables that pass between stages, one module each: a pyarrow schema, every column with its meaning and unit."""
