"""Pixels: reading, drawing, cleaning them. Knows no data set and no stage."""
