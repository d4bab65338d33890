"""Frames as they may be pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._formatting import shown

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frame = npt.NDArray[np.uint8]

__all__ = ["copy_frame"]

#: pixels of a side; an encoder takes no more
_LARGEST = 8192
_FORM = "a uint8 array of shape (height, width, 3), blue, green and red as OpenCV has them"


def copy_frame(frame: Any, right: Any = None) -> Frame:
    """A frame as it is now, in memory of its own; with ``right``, both side by side.

    Raises TypeError for anything but an array of uint8, ValueError for an invalid shape or size.
    """
    import numpy as np

    _check("frame", frame)
    if right is None:
        copied = np.array(frame, order="C")
    else:
        _check("right", right)
        if frame.shape != right.shape:
            raise ValueError(
                f"both frames must have the same shape, got {frame.shape} and {right.shape}; "
                "resize one of them"
            )
        copied = np.concatenate((frame, right), axis=1)
    if copied.shape[1] > _LARGEST:
        raise ValueError(
            f"both frames together must be at most {_LARGEST:,} pixels wide, got "
            f"{copied.shape[1]:,}; send them smaller: frame[::2, ::2]"
        )
    return copied


def _check(name: str, frame: Any) -> None:
    import numpy as np

    if not isinstance(frame, np.ndarray):
        raise TypeError(
            f"{name} must be {_FORM}, got {shown(type(frame).__name__, 60)}; "
            "use numpy.asarray(frame)"
        )
    if frame.dtype != np.uint8:
        raise TypeError(
            f"{name} must be {_FORM}, got {shown(frame.dtype, 60)}; use frame.astype(numpy.uint8)"
            + (", after frame * 255 if it is from 0 to 1" if frame.dtype.kind == "f" else "")
        )
    if frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"{name} must be {_FORM}, got the shape {frame.shape}; {_cure(frame)}")
    height, width = frame.shape[:2]
    if not (2 <= height <= _LARGEST and 2 <= width <= _LARGEST):
        raise ValueError(
            f"each side of {name} must be from 2 to {_LARGEST:,} pixels, got {width} x {height}"
            + ("; send it smaller: frame[::2, ::2]" if max(height, width) > _LARGEST else "")
        )
    if height % 2 or width % 2:
        raise ValueError(
            f"the sides of {name} must be even numbers of pixels, as encoders want them, got "
            f"{width} x {height}; use frame[:{height // 2 * 2}, :{width // 2 * 2}]"
        )


def _cure(frame: Any) -> str:
    if frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 1):
        return "of a grey one use numpy.dstack([frame] * 3)"
    if frame.ndim == 3 and frame.shape[2] == 4:
        return "without its alpha channel it is frame[:, :, :3]"
    if frame.ndim == 3 and frame.shape[0] == 3:
        return "use frame.transpose(1, 2, 0)"
    return "reshape it"
