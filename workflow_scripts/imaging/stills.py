"""Pictures in files and in tables: exact pixels in, lossless PNG out."""

from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np


class UnreadablePicture(ValueError):
    """A picture that does not decode, or not to its end."""


def read_still(path: Path) -> np.ndarray:
    """Return the pixels of a picture file: (H, W) grey or (H, W, 3) RGB, uint8.

    Raises
    ------
    UnreadablePicture
        When the file does not decode, or is a JPEG that is damaged: decoders fill the rest with grey without a word.
    """
    data = path.read_bytes()
    if data[:2] == b"\xff\xd8":
        check_jpeg(data)
    return decode_picture(data)


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG that libjpeg would mend with pixels of its own: damaged, cut off, or in printers' colours.

    A decoder that stops at the first error finds most damage. Where the damaged part still reads as code, it takes too
    many bytes: then what stands behind the data changes the picture, and of a whole JPEG it does not.

    Raises
    ------
    UnreadablePicture
        When the pixels are not those that were encoded, as far as the data can show it.
    """
    end = data.rfind(b"\xff\xd9")
    if end < len(data) - 64:
        raise UnreadablePicture("the JPEG breaks off: it has no end-of-image marker")
    frames = [_strictly(data), _strictly(data[:end] + bytes(range(1, 65)) + data[end:])]
    if len(frames[0].format.components) > 3:
        raise UnreadablePicture("the JPEG is in CMYK colours: expected grey or RGB")
    first, second = ([bytes(plane) for plane in frame.planes] for frame in frames)
    if first != second:
        raise UnreadablePicture("the JPEG is damaged: its data end before its last pixel")


def _strictly(data: bytes) -> av.VideoFrame:
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options, decoder.thread_count = {"err_detect": "explode"}, 1
    try:
        frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    except (av.FFmpegError, ValueError):
        frames = []
    if len(frames) != 1:
        raise UnreadablePicture("the JPEG is damaged: it does not decode to its end without an error")
    return frames[0]


def decode_picture(data: bytes) -> np.ndarray:
    """Return the pixels of an encoded picture: (H, W) grey or (H, W, 3) RGB, uint8."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise UnreadablePicture("it does not decode to a picture")
    if pixels.dtype != np.uint8:
        raise UnreadablePicture(f"its samples are of type {pixels.dtype}: expected 8 bits (uint8)")
    if pixels.ndim == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGB)
    return pixels


@lru_cache(maxsize=1)  # it hardly changes from frame to frame of a clip
def decode_field(data: bytes) -> np.ndarray:
    """Return the field of a row of `inputs`: (H, W) bool, not to be written to."""
    field = decode_picture(data) > 0
    field.flags.writeable = False
    return field


def encode_png(pixels: np.ndarray) -> bytes:
    """Return a lossless PNG of (H, W) grey or labels, or of (H, W, 3) RGB, uint8.

    Level 1 is four times as fast as the default and some 5 % larger; the pixels are the same.
    """
    data = cv2.imencode(".png", pixels if pixels.ndim == 2 else pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return data.tobytes()


def to_grey(image: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8: the luminance of an RGB picture, a grey one as it is."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
