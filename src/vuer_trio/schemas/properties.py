"""The keywords of the most common elements, for editors and type checkers.

Nothing here is imported at run time, when an element takes any keyword: a property that is not
given is not sent, and the browser chooses it. To give a property that is missing here, pass
``**values`` with ``values`` annotated as a ``dict[str, Any]``, or set the attribute.

Lengths are in metres and angles in radians, unless a class says otherwise; a colour is a `Color`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from .element import Child, SupportsSerialize
from .node import Color, Rotation, SupportsToList, Vector

__all__ = [
    "CameraProperties",
    "CameraViewProperties",
    "ControlProperties",
    "ControllerProperties",
    "FrustumProperties",
    "GamepadProperties",
    "GridProperties",
    "HandsProperties",
    "HtmlProperties",
    "LightProperties",
    "LineProperties",
    "MarkerProperties",
    "ModelProperties",
    "MovableProperties",
    "NodeProperties",
    "PictureProperties",
    "PlaneProperties",
    "PointModelProperties",
    "PointsProperties",
    "RootProperties",
    "SceneProperties",
    "ShapeProperties",
    "SplatProperties",
    "SurfaceProperties",
    "Text3DProperties",
    "TextProperties",
    "UrdfProperties",
    "VideoProperties",
]

_Children: TypeAlias = Iterable[Child | None] | str
_Points: TypeAlias = Sequence[Vector] | SupportsToList
_Event: TypeAlias = SupportsSerialize | Mapping[str, Any] | str | bool

Side: TypeAlias = Literal[0, 1, 2, "front", "back", "double"]
"""Which side of a surface is drawn."""

MaterialType: TypeAlias = Literal[
    "basic",
    "depth",
    "lambert",
    "line",
    "lineDashed",
    "normal",
    "phong",
    "physical",
    "points",
    "rawShader",
    "shadow",
    "sprite",
    "standard",
    "toon",
]
"""The material of three.js that a surface is made of."""


class _Node(TypedDict, total=False):
    """What every node of the scene takes beside its ``key``.

    ``position`` is [x, y, z] in the frame of its parent,
    ``rotation`` [x, y, z] and perhaps the order of the three, ``quaternion`` [x, y, z, w] and
    ``scale`` a factor or one for each axis. ``matrix`` is 4 by 4: 16 numbers, one column after
    another, or an array. ``up`` and ``lookAt`` are [x, y, z]. ``layers`` says for which eye of a
    headset it is: 1 for the left one, 2 for the right one, 0 for both.
    """

    children: _Children
    position: Vector
    rotation: Rotation
    quaternion: Vector
    scale: float | Vector
    matrix: Vector | Sequence[Vector]
    up: Vector
    lookAt: Vector
    hide: bool
    visible: bool
    layers: int | Sequence[int] | None
    name: str
    renderOrder: float
    castShadow: bool
    receiveShadow: bool
    frustumCulled: bool
    userData: Mapping[str, Any]
    onClick: _Event


class NodeProperties(_Node, total=False):
    """What every node of the scene takes, including its name, ``key``."""

    key: str | None


class SurfaceProperties(NodeProperties, total=False):
    """What has a surface. ``opacity`` is from 0 to 1; ``material`` has properties of three.js'."""

    color: Color | None
    opacity: float
    transparent: bool
    wireframe: bool
    side: Side
    materialType: MaterialType
    material: Mapping[str, Any] | SupportsSerialize


class ShapeProperties(SurfaceProperties, total=False):
    """A shape of three.js: ``args`` are those of its geometry, which the class of the shape lists.

    Or give each by its name: lengths, angles, and numbers of segments. ``outlineThickness`` is in
    pixels.
    """

    args: Sequence[Any] | SupportsToList
    width: float
    height: float
    depth: float
    radius: float
    radiusTop: float
    radiusBottom: float
    innerRadius: float
    outerRadius: float
    tube: float
    arc: float
    p: int
    q: int
    detail: int
    segments: int
    widthSegments: int
    heightSegments: int
    depthSegments: int
    radialSegments: int
    tubularSegments: int
    capSegments: int
    thetaSegments: int
    phiSegments: int
    openEnded: bool
    thetaStart: float
    thetaLength: float
    phiStart: float
    phiLength: float
    vertices: Vector
    indices: Vector
    outlines: bool
    outlineColor: Color
    outlineThickness: float


class LineProperties(SurfaceProperties, total=False):
    """A line through ``points``, [x, y, z] each.

    ``lineWidth`` is in pixels, with ``worldUnits`` in metres; dashes and gaps are in metres.
    ``vertexColors`` has [red, green, blue], from 0 to 1, for each point. ``closed``, ``curveType``
    and ``tension``, from 0 to 1, are for curves.
    """

    points: _Points
    lineWidth: float
    worldUnits: bool
    segments: bool | int
    dashed: bool
    dashScale: float
    dashSize: float
    dashOffset: float
    gapSize: float
    vertexColors: _Points
    closed: bool
    curveType: Literal["centripetal", "chordal", "catmullrom"]
    tension: float


class PointsProperties(SurfaceProperties, total=False):
    """Points. ``size`` is the diameter of one, in metres."""

    size: float


class ModelProperties(SurfaceProperties, total=False):
    """A file that the browser loads from the address ``src``.

    Instead, ``text`` or ``buff`` can hold the file itself. The web client of ``vuer`` 0.1.6 does
    not draw Pcd, Ply and Urdf from ``text``: use a ``data:`` URL as ``src``. ``assets`` maps the
    names of files that the file refers to, to their addresses. ``animationSpeed`` is a factor.
    """

    src: str
    text: str
    buff: bytes
    encoding: str
    assets: Mapping[str, str]
    fetchOptions: Mapping[str, Any]
    mtl: str
    materials: Sequence[str]
    playAnimation: bool
    animationIndex: int
    animationSpeed: float
    onLoad: _Event


class PointModelProperties(ModelProperties, total=False):
    """A file with points. ``size`` is the diameter of one, in metres."""

    size: float


class UrdfProperties(ModelProperties, total=False):
    """A robot. ``jointValues`` maps the names of its joints to radians, or to metres if they slide.

    ``workingPath`` is the address of its files, ``packages`` that of all packages that
    ``package://`` addresses name. The web client of ``vuer`` 0.1.6 ignores ``packages`` if it maps
    each package to an address.
    """

    jointValues: Mapping[str, float]
    workingPath: str
    packages: str | Mapping[str, str]
    parseVisual: bool
    parseCollision: bool
    enableJointDrag: bool
    jointHighlightColor: Color


class SplatProperties(NodeProperties, total=False):
    """Splats at the address ``src``, loaded ``chunkSize`` at a time; ``alphaTest`` is 0 to 1."""

    src: str
    flipCoords: bool
    toneMapped: bool
    alphaTest: float
    alphaHash: bool
    chunkSize: int


class PlaneProperties(SurfaceProperties, total=False):
    """A rectangle that faces the camera, ``distanceToCamera`` metres away.

    ``height`` is in metres, ``aspect`` width by height; without them it fills the view. If it is
    ``fixed``, it keeps its place in the scene.
    """

    distanceToCamera: float
    aspect: float | None
    height: float | None
    fixed: bool


class PictureProperties(PlaneProperties, total=False):
    """A picture: the address or the encoded bytes of its colours, opacities and depths.

    ``depthScale`` and ``depthBias`` convert the values of the depth picture to metres, and
    ``interpolate`` draws between its pixels. ``quality`` of a JPEG is from 1 to 100.
    """

    src: str | bytes | None
    format: str
    quality: int | None
    rgb: str | bytes
    alpha: str | bytes
    alphaSrc: str | bytes
    depthSrc: str | bytes
    depthScale: float
    depthBias: float
    geometry: Literal["plane", "sphere"]
    interpolate: bool
    placeholderColor: Color


class VideoProperties(PlaneProperties, total=False):
    """A video: at the address ``src``, or the WebRTC ``stream`` of that name or address.

    ``layout`` says how the pictures for the two eyes are arranged in one.
    """

    src: str | bytes | None
    stream: str | Mapping[str, Any]
    iceServer: Mapping[str, Any]
    layout: str
    start: bool
    loop: bool
    autoplay: bool
    muted: bool
    playsInline: bool
    crossOrigin: str
    unsuspend: str


class TextProperties(SurfaceProperties, total=False):
    """Flat text. ``fontSize``, ``maxWidth`` and widths of outlines are in metres.

    ``lineHeight`` and ``letterSpacing`` are factors of ``fontSize``; ``font`` is the address of a
    font file; outlines may be a share of ``fontSize``, ``"10%"``. Opacities are from 0 to 1.
    """

    text: str
    characters: str
    font: str
    fontSize: float
    fontWeight: int | str
    fontStyle: Literal["normal", "italic"]
    maxWidth: float
    lineHeight: float
    letterSpacing: float
    textAlign: Literal["left", "right", "center", "justify"]
    anchorX: float | Literal["left", "center", "right"]
    anchorY: float | Literal["top", "top-baseline", "middle", "bottom-baseline", "bottom"]
    clipRect: Sequence[float]
    depthOffset: float
    direction: Literal["auto", "ltr", "rtl"]
    overflowWrap: Literal["normal", "break-word"]
    whiteSpace: Literal["normal", "overflowWrap", "nowrap"]
    outlineWidth: float | str
    outlineOffsetX: float | str
    outlineOffsetY: float | str
    outlineBlur: float | str
    outlineColor: Color
    outlineOpacity: float
    strokeWidth: float | str
    strokeColor: Color
    strokeOpacity: float
    fillOpacity: float
    sdfGlyphSize: int
    debugSDF: bool
    glyphGeometryDetail: int


class Text3DProperties(SurfaceProperties, total=False):
    """Text with depth. ``size`` is that of the letters, ``height`` their depth, in metres."""

    size: float
    height: float
    curveSegments: int
    bevelEnabled: bool
    bevelSize: float
    bevelThickness: float
    bevelOffset: float
    bevelSegments: int


class HtmlProperties(SurfaceProperties, total=False):
    """A piece of the page. ``zIndexRange`` is the highest and the lowest; ``style`` is of CSS."""

    wrapperClass: str
    className: str
    style: Mapping[str, Any]
    prepend: bool
    center: bool
    fullscreen: bool
    distanceFactor: float
    zIndexRange: Sequence[int]
    transform: bool
    sprite: bool
    occlude: bool | str
    pointerEvents: str
    eps: float


class GridProperties(NodeProperties, total=False):
    """A grid. Sizes and distances are in metres, thicknesses in pixels."""

    offset: float
    width: float
    height: float
    widthSegments: int
    heightSegments: int
    cellSize: float
    cellThickness: float
    cellColor: Color
    sectionSize: float
    sectionThickness: float
    sectionColor: Color
    fadeDistance: float
    fadeStrength: float
    followCamera: bool
    infiniteGrid: bool
    enableRaycast: bool


class MarkerProperties(SurfaceProperties, total=False):
    """A frame or an arrow, ``scale`` metres long, of ``lod`` segments around.

    ``direction`` is [x, y, z]; ``headScale`` is a factor.
    """

    direction: Vector
    headScale: float
    lod: int


class CameraProperties(NodeProperties, total=False):
    """A camera. ``fov`` is the vertical angle of view in degrees, ``aspect`` width by height.

    ``near`` and ``far`` are the distances between which it sees; ``left``, ``right``, ``top`` and
    ``bottom`` the borders of what an orthographic one sees. ``cx`` and ``cy``, from -1 to 1, move
    its principal point; ``renderSizeH`` is in pixels.
    """

    fov: float
    aspect: float
    zoom: float
    near: float
    far: float
    left: float
    right: float
    top: float
    bottom: float
    cx: float
    cy: float
    makeDefault: bool
    active: bool
    showFrustum: bool
    showCameraHelpers: bool
    previewInScene: bool
    previewInOverlay: bool
    previewDistance: float
    previewBackgroundColor: Color
    previewBackgroundOpacity: float
    renderSizeH: int
    samples: int
    depthBuffer: bool
    useViewpoint: bool


class CameraViewProperties(CameraProperties, total=False):
    """A camera whose pictures come back, ``width`` by ``height`` pixels over ``downsample``.

    At most ``fps`` are sent a second; ``quality`` of a JPEG is from 0 to 1. The picture is shown
    ``distanceToCamera`` metres in front of it.
    """

    width: int
    height: int
    stream: Literal["frame", "time", "ondemand"] | None
    fps: float
    downsample: float
    quality: float
    renderDepth: bool
    origin: str
    ctype: Literal["perspective", "orthographic"]
    distanceToCamera: float
    monitor: bool
    movable: bool
    movableScale: float
    showCamera: bool


class FrustumProperties(NodeProperties, total=False):
    """What a camera sees. ``fov`` is in degrees; ``focus`` and ``focalLength`` are in metres."""

    aspect: float
    focus: float
    fov: float
    near: float
    far: float
    upScale: float
    focalLength: float
    showUp: bool
    showFrustum: bool
    showFocalPlane: bool
    showImagePlane: bool
    src: str
    colorOrigin: Color
    colorFrustum: Color
    colorCone: Color
    colorFocalPlane: Color
    colorUp: Color
    colorTarget: Color
    colorCross: Color
    colorX: Color
    colorY: Color


class ControlProperties(NodeProperties, total=False):
    """How the mouse moves the camera: polar angles are in degrees, distances in metres.

    Speeds are factors. With ``stream``, moves come back as ``CAMERA_MOVE`` events.
    """

    makeDefault: bool
    stream: bool
    enableDamping: bool
    enablePan: bool
    enableRotate: bool
    enableZoom: bool
    screenSpacePanning: bool
    minPolarAngle: float
    maxPolarAngle: float
    minDistance: float
    maxDistance: float
    zoomSpeed: float
    rotateSpeed: float
    panSpeed: float


class MovableProperties(SurfaceProperties, total=False):
    """What can be grabbed. ``offset`` and the size of the ``handle`` are in metres."""

    anchor: Vector
    offset: Vector
    handle: float | Vector
    lineWidth: float
    showFrame: bool
    localRotation: bool


class GamepadProperties(NodeProperties, total=False):
    """The gamepad number ``index``."""

    index: int


class HandsProperties(NodeProperties, total=False):
    """Both hands, ``fps`` events a second; ``frameScale`` is in metres."""

    fps: float
    stream: bool
    disableLeft: bool
    disableRight: bool
    hideLeft: bool
    hideRight: bool
    showFrame: bool
    frameScale: float


class ControllerProperties(_Node, total=False):
    """Both controllers, ``fps`` events a second.

    A new hash makes a controller vibrate: the strength is from 0 to 1, the duration in
    milliseconds.
    """

    fps: float
    pulseLeftStrength: float
    pulseLeftDuration: float
    pulseLeftHash: str
    pulseRightStrength: float
    pulseRightDuration: float
    pulseRightHash: str


class LightProperties(NodeProperties, total=False):
    """A light. ``intensity`` is a factor; with ``helper`` the light itself is drawn.

    ``distance`` is how far it reaches, 0 for no limit; ``angle`` is half of its cone, and
    ``penumbra`` from 0 to 1. ``width``, ``height`` and ``radius`` are in metres.
    """

    color: Color
    intensity: float
    helper: bool
    skyColor: Color
    groundColor: Color
    distance: float
    angle: float
    penumbra: float
    decay: float
    width: float
    height: float
    radius: float
    showSphere: bool


class RootProperties(TypedDict, total=False):
    """What the root of a scene takes in addition to its slots and its named parameters."""

    key: str | None


class SceneProperties(RootProperties, total=False):
    """The root of a scene. ``camPosition`` is [x, y, z], ``camRotation`` in radians, too."""

    rawChildren: Sequence[Child | None] | Child | None
    htmlChildren: Sequence[Child | None] | None
    up: Sequence[float] | None
    background: Any
    toneMapping: str | None
    toneMappingExposure: float | None
    frameloop: Literal["always", "demand"] | None
    camPosition: Sequence[float] | None
    camRotation: Sequence[float] | None
