"""The flagged cases as a page on which they are decided, and the way back of what was decided."""
