"""What the files of each data set mean: one module and one card a kind."""
