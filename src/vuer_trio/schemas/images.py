"""Pictures, encoded here or loaded by the browser.

A picture given as ``data`` is encoded when its element is created, which needs Pillow (the extra
``image``), and reads the file, if it is one. A picture given as ``src`` is sent as it is.
"""

from __future__ import annotations

import errno
import os
import sys
from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from .element import Element
from .node import Rotation, SceneElement, Vector

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PillowImage

    from .properties import PictureProperties

__all__ = ["Image", "ImageBackground", "Img", "Picture", "SceneBackground"]

ImageData: TypeAlias = "str | os.PathLike[str] | NDArray[Any] | PillowImage"
"""A path, an array of the shape (height, width) or (height, width, channels), a Pillow image."""

_JPEG_QUALITY = 90  # of 100, for arrays; Pillow's own default holds for the others
_CHANNELS = 4  # at most: red, green, blue, alpha
_METRES_PER_PIXEL = 0.001  # the height of a picture for which none is given


class _NotBoth(TypeError, AssertionError):
    """An AssertionError, too: that is what programs for the reference catch."""


class _NotText(ValueError, AssertionError):
    """As `_NotBoth`."""


class Img(Element):
    """A picture in the page.

    ``data`` is a path, a Pillow image or an array, of bytes or of numbers from 0 to 1. It is sent
    in ``format``: ``"png"``, ``"jpeg"`` or, for arrays alone, ``"b64png"`` and ``"b64jpeg"``, which
    are text. ``quality``, from 1 to 100, is for arrays as JPEG. ``src`` is an address or encoded
    bytes. Raises FileNotFoundError for a path that leads nowhere, ImportError without Pillow,
    TypeError and ValueError for what cannot be encoded, OSError for a file that is not an image.
    """

    tag = "Img"

    def __init__(
        self,
        data: ImageData | None = None,
        *,
        src: str | bytes | None = None,
        format: str = "png",
        quality: int | None = None,
        **props: Any,
    ) -> None:
        if isinstance(data, list) and not data:  # as good as None
            data = None
        if data is not None:
            if src is not None:
                raise _NotBoth(f"{type(self).__name__} takes data or src, not both")
            src, width, height = _encoded(data, format, quality)
            props = {"_width": width, "_height": height, **props}  # pixels; not sent
        if src is not None:
            props["src"] = src
        super().__init__(**props)


class Picture(Img, SceneElement):
    """What the pictures and videos in the scene have in common."""

    # as in SceneElement
    if TYPE_CHECKING:

        def __init__(
            self,
            data: ImageData | None = None,
            *,
            src: str | bytes | None = None,
            format: str = "png",
            quality: int | None = None,
            key: str | None = None,
            position: Vector = ...,
            rotation: Rotation = ...,
            quaternion: Vector = ...,
            scale: float | Vector = ...,
            opacity: float = ...,
            hide: bool = ...,
            **props: Any,
        ) -> None: ...


class Image(Picture):
    """A picture on a plane in the scene; it is sent as ``rgb``.

    If they are not given, ``height`` and ``aspect`` (width by height) of a picture that is encoded
    here are taken from it, with a millimetre for each pixel.
    """

    height: float
    aspect: float

    tag = "Image"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self, data: ImageData | None = None, **props: Unpack[PictureProperties]
        ) -> None: ...

    def __post_init__(
        self,
        src: str | bytes | None = None,
        _width: int | None = None,
        _height: int | None = None,
        **props: Any,
    ) -> None:
        if src is not None:
            self.rgb = src
            del self.src
        if _width is not None and _height is not None:
            if props.get("aspect") is None:
                self.aspect = _width / _height
            if props.get("height") is None:
                self.height = _height * _METRES_PER_PIXEL


class ImageBackground(Picture):
    """A plane behind the scene that may get a new picture for every frame."""

    tag = "ImageBackground"

    if TYPE_CHECKING:  # as in SceneElement

        def __init__(
            self, data: ImageData | None = None, **props: Unpack[PictureProperties]
        ) -> None: ...


class SceneBackground(Picture):
    """A picture around the scene, which rarely changes."""

    tag = "SceneBackground"


def _encoded(data: Any, format: str, quality: int | None) -> tuple[str | bytes, int, int]:
    """The picture, encoded, with its width and height in pixels."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "encoding an image needs Pillow: pip install 'vuer-trio[image]'"
        ) from error
    # Whoever holds an array has imported numpy already.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(data, numpy.ndarray):
        return _encoded_array(data, format, quality)
    if isinstance(data, Image.Image):
        return _saved(data, format), *data.size
    if isinstance(data, (str, os.PathLike)):
        try:
            image: PillowImage = Image.open(data)
        except FileNotFoundError as error:
            complaint = "no such image file; use src= for the address of an image"
            raise FileNotFoundError(errno.ENOENT, complaint, os.fspath(data)) from error
        with image:
            return _saved(image, format), *image.size
    raise TypeError(
        f"an image must be a path, a numpy array or a Pillow image, got {type(data).__name__};"
        " use src= for encoded bytes"
    )


def _encoded_array(array: Any, format: str, quality: int | None) -> tuple[str | bytes, int, int]:
    from PIL import Image

    kind = format.removeprefix("b64")
    if kind not in ("png", "jpeg"):
        raise ValueError(f"format must be png, jpeg, b64png or b64jpeg, got {format!r}")
    if kind == "png" and quality is not None:
        raise TypeError("quality= is for jpeg only: png is lossless")
    if array.ndim not in (2, 3) or not array.size or array.shape[2:] > (_CHANNELS,):
        raise ValueError(
            "the shape of an image must be (height, width), or (height, width, 1 to 4 channels),"
            f" got {array.shape}"
        )
    height, width = array.shape[:2]
    if array.shape[2:] == (1,):  # which Pillow knows by two dimensions
        array = array[..., 0]
    if array.dtype.name != "uint8":
        array = (array * 255).astype("uint8")
    options: dict[str, int] = {}
    if kind == "jpeg":
        options["quality"] = _JPEG_QUALITY if quality is None else quality
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, format=kind, **options)
    if format == kind:
        return buffer.getvalue(), width, height
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}", width, height


def _saved(image: PillowImage, format: str) -> bytes:
    if format.startswith("b64"):
        raise _NotText(
            f"{format} does not support base64 of files and Pillow images, only of arrays;"
            " use png or jpeg"
        )
    buffer = BytesIO()
    try:
        image.save(buffer, format=format)
    except KeyError as error:
        raise ValueError(f"format must be one that Pillow can write, got {format!r}") from error
    return buffer.getvalue()
