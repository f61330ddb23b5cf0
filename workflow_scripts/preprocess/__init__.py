"""From frames to pictures that a model may see."""
