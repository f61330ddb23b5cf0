"""From inputs to masks: split by patient, train, predict on the other side."""
