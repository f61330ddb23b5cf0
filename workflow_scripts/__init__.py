"""Casebook: clinical imaging data sets turned into benchmark scenarios with verified ground truth."""

import os

# A picture may claim 30,000 x 30,000 pixels in 300 bytes; OpenCV reads this once, when it is loaded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**27))
