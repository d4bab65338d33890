"""Elements as plain data, and arrays as pictures, with the names of `vuer.serdes`.

An image is an array of bytes of the shape (height, width) or (height, width, channels), which takes
Pillow (the extra ``image``). Raises ImportError without it, TypeError for any other array, and
OSError for a format that cannot hold the image: JPEG has no transparency.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IMAGE_FORMATS", "b64jpeg", "b64png", "jpeg", "png", "serializer"]

_GREY = 2  # dimensions of a picture without channels


def serializer(data: Any) -> Any:
    """An element as a dict, a list or tuple of elements as a list of dicts, anything else
    unchanged.
    """
    if hasattr(data, "_serialize"):
        return data._serialize()
    if isinstance(data, (list, tuple)):
        return [serializer(item) for item in data]
    return data


def jpeg(image: NDArray[Any], quality: int = 90) -> bytes:
    """The bytes of a JPEG; ``quality`` from 1 to 100."""
    return _saved(image, "JPEG", quality=quality)


def png(image: NDArray[Any]) -> bytes:
    """The bytes of a PNG."""
    return _saved(image, "PNG")


def b64jpeg(image: NDArray[Any], quality: int = 90) -> str:
    """As `jpeg`, as a URL: ``data:image/jpeg;base64,...``."""
    return _address("jpeg", jpeg(image, quality))


def b64png(image: NDArray[Any]) -> str:
    """As `png`, as a URL: ``data:image/png;base64,...``."""
    return _address("png", png(image))


#: the functions above by their names
IMAGE_FORMATS: Final[dict[str, Callable[..., bytes | str]]] = {
    "jpeg": jpeg,
    "png": png,
    "b64jpeg": b64jpeg,
    "b64png": b64png,
}


def _saved(image: NDArray[Any], format: str, **options: int) -> bytes:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "encoding an image needs Pillow: pip install 'vuer-trio[image]'"
        ) from error
    if image.ndim > _GREY and image.shape[2] == 1:  # which Pillow knows by two dimensions
        image = image[..., 0]
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format=format, **options)
    return buffer.getvalue()


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode()}"
