"""What leaves the building, and the proof that another holder of the data has rebuilt the same."""
