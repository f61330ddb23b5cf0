"""From cases to frames: exactly as decoded, in order, with the expert's mask."""
