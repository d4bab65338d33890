"""Images in memory as JPEG and PNG, for links. They need the extras `numpy` and `image`.

Images are arrays or tensors of the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): floats from 0
to 1, or uint8.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any

from .._formatting import must_be

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["b64jpg", "b64png", "decode_b64png", "jpg", "png"]


def jpg(image: Any, quality: int = 90) -> bytes:
    """As JPEG, without an alpha channel; ``quality`` is from 1 to 100. Raises TypeError and
    ValueError for what is not an image."""
    pixels = _pixels(image)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    return _encoded(pixels, "JPEG", quality=quality)


def png(image: Any) -> bytes:
    """As PNG, with its alpha channel. Raises TypeError and ValueError for what is not an image."""
    return _encoded(_pixels(image), "PNG")


def b64jpg(image: Any, quality: int = 90) -> str:
    """`jpg` as a ``data:`` URI."""
    return f"data:image/jpeg;base64,{b64encode(jpg(image, quality)).decode()}"


def b64png(image: Any) -> str:
    """`png` as a ``data:`` URI."""
    return f"data:image/png;base64,{b64encode(png(image)).decode()}"


def decode_b64png(b64: str) -> Image:
    """The Pillow image of base64 text, with or without ``data:image/png;base64,`` before it."""
    from PIL import Image

    return Image.open(BytesIO(b64decode(b64.rpartition(",")[2])))


def _pixels(image: Any) -> NDArray[numpy.uint8]:
    import numpy

    if hasattr(image, "cpu"):  # a tensor, perhaps of another device
        image = image.detach().cpu().numpy() if hasattr(image, "detach") else image.cpu().numpy()
    pixels = numpy.asarray(image)
    if pixels.dtype.kind not in "fiub":
        raise TypeError(must_be("an image", "an array of numbers", image))
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim != 2 and not (pixels.ndim == 3 and pixels.shape[2] in (3, 4)):
        raise ValueError(must_be("the shape of an image", "(H, W) or (H, W, 3 or 4)", pixels.shape))
    if pixels.dtype == numpy.uint8:
        return pixels
    # Clipped: 1.001 of a renderer is white, and not black.
    scaled: NDArray[numpy.uint8] = (numpy.clip(pixels, 0, 1) * 255).astype(numpy.uint8)
    return scaled


def _encoded(pixels: NDArray[numpy.uint8], form: str, **options: Any) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format=form, **options)
    return buffer.getvalue()
