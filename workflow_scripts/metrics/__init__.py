"""From masks to figures: how good, on how many, and which cases to look at."""
