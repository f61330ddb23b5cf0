"""Video files, decoded in order: no seeking, since seeking returns other frames than asked for in too many builds."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter


class UnreadableClip(ValueError):
    """A video that does not open, does not decode, or ends before it should."""


def read_clip(path: Path) -> Iterator[tuple[int, float | None, np.ndarray]]:
    """Yield (index, time in s since the first frame or None, grey (H, W) or RGB (H, W, 3) uint8) of every frame.

    Frames come in the order in which a player shows them. A time is given only where the container carries one. Memory
    holds a few frames, however long the clip.

    Raises
    ------
    UnreadableClip
        When the file is no video, breaks off, or fewer frames decode than its container claims.
    """
    number = -1
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableClip("it holds no video")
            stream = container.streams.video[0]
            stream.thread_count = 1
            if stream.codec_context is None:
                raise UnreadableClip("its codec is not known")
            stream.codec_context.options = {"err_detect": "explode"}  # what is damaged is not mended with guesses
            reformatter = VideoReformatter()  # one for the clip: a new one for each frame takes as long as decoding
            claimed, start = stream.frames, None
            for number, frame in enumerate(container.decode(stream)):
                start = frame.time if start is None else start
                time = None if frame.time is None or start is None else frame.time - start
                grey = frame.format.name.startswith("gray")
                yield number, time, reformatter.reformat(frame, format="gray" if grey else "rgb24").to_ndarray()
    except (av.FFmpegError, OSError) as error:
        after = f" after frame {number}" if number >= 0 else ""
        raise UnreadableClip(f"it does not decode{after} ({error.strerror})") from None
    if number < 0 or number + 1 < claimed:
        raise UnreadableClip(f"it breaks off: {number + 1} frames decode of the {claimed} that its container claims")


def claimed_frames(path: Path) -> int | None:
    """Return the number of frames that the container claims, None where it makes no claim or does not open."""
    try:
        with av.open(str(path)) as container:
            return container.streams.video[0].frames or None
    except (av.FFmpegError, OSError, IndexError):
        return None
