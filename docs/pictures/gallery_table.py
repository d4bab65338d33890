"""What the gallery shows: for each element of `vuer_trio.schemas` the code of its picture,
or why there is none.

`gallery.py` makes the pictures and the page of it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DRAWN", "NOT_DRAWN", "Drawn"]


@dataclass(frozen=True)
class Drawn:
    """An expression over the names of `vuer_trio.schemas` and `np`, which is numpy."""

    code: str
    #: of the scene, into which it is put
    slot: str = "children"
    #: where the camera is; None if there is none but that of the code
    camera: tuple[float, float, float] | None = (1.1, 0.9, 1.7)
    #: whether a light and a colour behind everything are there as well
    lit: bool = True
    background: str | None = "#e8ebf0"
    #: what is shown of the page: left, top, right, bottom in its pixels
    part: tuple[int, int, int, int] = (0, 180, 480, 480)


_FAR = (2.0, 1.6, 3.0)
_FRONT = (0.0, 0.0, 2.4)


def _material(code: str) -> Drawn:
    return Drawn(f'mesh(Element(tag="torusKnotGeometry", args=[0.55, 0.18, 128, 24]), {code})')


#: by section, then by name
DRAWN: dict[str, dict[str, Drawn]] = {
    "Shapes": {
        "Box": Drawn('Box(args=[1, 1, 1], material={"color": "#4e8cff"})'),
        "Capsule": Drawn('Capsule(args=[0.4, 0.7, 16, 32], material={"color": "#4e8cff"})'),
        "Circle": Drawn(
            'Circle(args=[0.8, 48], material={"color": "#4e8cff"})', camera=(0.8, 0.4, 2.2)
        ),
        "Cone": Drawn('Cone(args=[0.6, 1.2, 48], material={"color": "#4e8cff"})'),
        "Cylinder": Drawn('Cylinder(args=[0.5, 0.5, 1.2, 48], material={"color": "#4e8cff"})'),
        "Dodecahedron": Drawn('Dodecahedron(args=[0.8], material={"color": "#4e8cff"})'),
        "Icosahedron": Drawn('Icosahedron(args=[0.8], material={"color": "#4e8cff"})'),
        "Octahedron": Drawn('Octahedron(args=[0.9], material={"color": "#4e8cff"})'),
        "Plane": Drawn(
            'Plane(args=[1.6, 1], material={"color": "#4e8cff"})', camera=(0.8, 0.4, 2.2)
        ),
        "Ring": Drawn(
            'Ring(args=[0.4, 0.8, 48], material={"color": "#4e8cff"})', camera=(0.8, 0.4, 2.2)
        ),
        "Sphere": Drawn('Sphere(args=[0.8, 48, 48], material={"color": "#4e8cff"})'),
        "Tetrahedron": Drawn('Tetrahedron(args=[0.9], material={"color": "#4e8cff"})'),
        "Torus": Drawn('Torus(args=[0.6, 0.25, 24, 64], material={"color": "#4e8cff"})'),
        "TorusKnot": Drawn('TorusKnot(args=[0.55, 0.18, 128, 24], material={"color": "#4e8cff"})'),
        "Polyhedron": Drawn(
            'Polyhedron(args=[[1, 0, 0, -1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 2, 3, 1, 3, 2, 0, 1, 2, 0, 3, 1], 1], material={"color": "#4e8cff"})'
        ),
        "Lathe": Drawn(
            'Lathe(args=[[{"x": 0.2, "y": -0.6}, {"x": 0.7, "y": 0}, {"x": 0.3, "y": 0.6}], 48], material={"color": "#4e8cff"})'
        ),
        "Extrude": Drawn('Extrude(material={"color": "#4e8cff"}, scale=[0.5, 0.5, 0.5])'),
        "Shape": Drawn('Shape(material={"color": "#4e8cff"})'),
        "Tube": Drawn('Tube(material={"color": "#4e8cff"}, scale=[0.4, 0.4, 0.4])'),
    },
    "Lines": {
        "Line": Drawn(
            'Line(points=[[-1, 0, 0], [0, 0.8, 0], [1, 0, 0], [0, -0.8, 0]], color="crimson", lineWidth=4)',
            camera=_FRONT,
        ),
        "CatmullRomLine": Drawn(
            'CatmullRomLine(points=[[-1, 0, 0], [0, 0.8, 0], [1, 0, 0], [0, -0.8, 0]], closed=True, color="crimson", lineWidth=4)',
            camera=_FRONT,
        ),
        "QuadraticBezierLine": Drawn(
            'QuadraticBezierLine(start=[-1, -0.5, 0], mid=[0, 1.5, 0], end=[1, -0.5, 0], color="crimson", lineWidth=4)',
            camera=_FRONT,
        ),
        "CubicBezierLine": Drawn(
            'CubicBezierLine(start=[-1, 0, 0], midA=[-0.3, 1.8, 0], midB=[0.3, -1.8, 0], end=[1, 0, 0], color="crimson", lineWidth=4)',
            camera=_FRONT,
        ),
    },
    "Points and meshes from arrays": {
        "PointCloud": Drawn(
            "PointCloud(vertices=np.random.default_rng(1).normal(0, 0.4, (4000, 3)), colors=np.random.default_rng(2).random((4000, 3)), size=0.03)"
        ),
        "p": Drawn(
            "p(vertices=np.mgrid[-4:5, -4:5, -4:5].reshape(3, -1).T / 8, colors=np.full((729, 3), [220, 20, 60], np.uint8), size=0.04)"
        ),
        "TriMesh": Drawn(
            'TriMesh(vertices=np.array([[-1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]), faces=np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]]), material={"color": "#4e8cff"})'
        ),
    },
    "Text and pages": {
        "Text": Drawn('Text("20 °C", color="black", fontSize=0.6)', camera=_FRONT),
        "Html": Drawn(
            'Html("a piece of the page", style={"width": "220px", "color": "black", "fontSize": "24px"}, center=True)',
            camera=_FRONT,
        ),
        "Button": Drawn(
            'div(Button(value="Press me"))',
            slot="htmlChildren",
        ),
        "Slider": Drawn("div(Slider(min=0, max=10, step=1, value=3))", slot="htmlChildren"),
        "InputBox": Drawn("InputBox()", slot="htmlChildren"),
        "Img": Drawn(
            'Img(photo, format="b64png")',
            slot="htmlChildren",
        ),
        "Markdown": Drawn('Markdown("# Robots\\n\\n- *one*\\n- **two**")', slot="htmlChildren"),
        "Header": Drawn('Header("A heading")', slot="htmlChildren"),
        "Header1": Drawn('Header1("A heading")', slot="htmlChildren"),
        "Header2": Drawn('Header2("A heading")', slot="htmlChildren"),
        "Header3": Drawn('Header3("A heading")', slot="htmlChildren"),
        "Paragraph": Drawn('Paragraph("A paragraph of text.")', slot="htmlChildren"),
        "Page": Drawn(
            'Page(Header("Robots"), Paragraph("There are two of them."))', slot="htmlChildren"
        ),
        "div": Drawn('div("a block")', slot="htmlChildren"),
        "BlockElement": Drawn('BlockElement("a block")', slot="htmlChildren"),
        "Element": Drawn('Element(tag="p", children=["any tag"])', slot="htmlChildren"),
        "span": Drawn('span("in a line")', slot="htmlChildren"),
        "Bold": Drawn('Bold("bold")', slot="htmlChildren"),
        "Italic": Drawn('Italic("slanted")', slot="htmlChildren"),
        "Link": Drawn(
            'Link(href="https://docs.vuer.ai", children=["a link"])', slot="htmlChildren"
        ),
        "AutoScroll": Drawn('AutoScroll(Paragraph("the last line"))', slot="htmlChildren"),
        "Iframe": Drawn('Iframe(srcDoc="<h3>another page</h3>")', slot="htmlChildren"),
    },
    "Images": {
        "Image": Drawn("Image(photo, height=2, aspect=5 / 3)", camera=_FRONT),
        "ImageBackground": Drawn(
            'ImageBackground(photo, format="jpeg")',
            slot="bgChildren",
        ),
        "SceneBackground": Drawn(
            'SceneBackground(photo, format="b64jpeg")',
            slot="bgChildren",
            background=None,
        ),
    },
    "Groups": {
        "Group": Drawn(
            "Group(Box(position=[-0.6, 0, 0]), Sphere(args=[0.5], position=[0.6, 0, 0]), rotation=[0, 0, 0.4], scale=0.7)"
        ),
        "VuerGroup": Drawn(
            "VuerGroup(Box(position=[-0.6, 0, 0]), Sphere(args=[0.5], position=[0.6, 0, 0]), scale=0.7)"
        ),
        "group": Drawn(
            "group(Box(position=[-0.6, 0, 0]), Sphere(args=[0.5], position=[0.6, 0, 0]), scale=0.7)"
        ),
        "Movable": Drawn(
            'Movable(Box(args=[0.5, 0.5, 0.5], material={"color": "#4e8cff"}), scale=0.6)'
        ),
        "Pivot": Drawn('Pivot(Box(args=[0.5, 0.5, 0.5], material={"color": "#4e8cff"}))'),
        "Center": Drawn('Center(Box(position=[5, 5, 5], material={"color": "#4e8cff"}))'),
        "Billboard": Drawn('Billboard(Plane(args=[1.6, 1], material={"color": "#4e8cff"}))'),
        "Trail": Drawn(
            'Trail(Sphere(args=[0.3], material={"color": "#4e8cff"}), width=4, color="crimson")'
        ),
        "mesh": Drawn(
            'mesh(Element(tag="torusGeometry", args=[0.6, 0.25, 24, 64]), MeshNormalMaterial())'
        ),
    },
    "Signs": {
        "CoordsMarker": Drawn("CoordsMarker(scale=1)"),
        "Arrow": Drawn('Arrow(color="crimson", direction=[0.7, 0.5, 0])'),
        "BoundingBox": Drawn(
            'BoundingBoxProvider(BoundingBox(min=[-0.5, -0.5, -0.5], max=[0.5, 0.5, 0.5], color="crimson"))'
        ),
        "BoundingBoxProvider": Drawn(
            'BoundingBoxProvider(*[BoundingBox(min=[x, -0.3, -0.3], max=[x + 0.5, 0.3, 0.3], color="crimson") for x in (-1, 0)])'
        ),
        "Gripper": Drawn('Gripper(color="#4e8cff", pinchWidth=0.05, scale=6)'),
        "SkeletalGripper": Drawn('SkeletalGripper(color="crimson", pinchWidth=0.05, scale=6)'),
    },
    "Cameras": {
        "Frustum": Drawn("Frustum(scale=1, showFocalPlane=True)", camera=_FAR),
        "PerspectiveFrustum": Drawn("PerspectiveFrustum(far=2)", camera=_FAR),
        "OrthographicFrustum": Drawn("OrthographicFrustum()", camera=_FAR),
        "FisheyeFrustum": Drawn("FisheyeFrustum()", camera=_FAR),
        "PerspectiveCamera": Drawn(
            "PerspectiveCamera(near=0.3, far=1.5, position=[0, 0, 1])", camera=_FAR
        ),
        "OrthographicCamera": Drawn(
            "OrthographicCamera(left=-0.6, right=0.6, top=0.4, bottom=-0.4, near=0.1, far=1.5, position=[0, 0, 1])",
            camera=_FAR,
        ),
        "FisheyeCamera": Drawn("FisheyeCamera(position=[0, 0, 1])", camera=_FAR),
        "CameraView": Drawn(
            "CameraView(Box(), fov=50, width=320, height=240, position=[0, 0, 1.5])", camera=_FAR
        ),
        "SceneCamera": Drawn(
            "[SceneCamera(position=[1.5, 1.2, 2.5], fov=60), OrbitControls(makeDefault=True), Box()]",
            slot="bgChildren",
            camera=None,
        ),
        "SimplePerspectiveCamera": Drawn(
            "[SimplePerspectiveCamera(makeDefault=True, position=[0.2, 0.3, 3]), Box()]",
            camera=None,
        ),
        "SimpleOrthographicCamera": Drawn(
            "[SimpleOrthographicCamera(makeDefault=True, position=[0.2, 0.3, 3], zoom=150), Box()]",
            camera=None,
        ),
        "CameraPreviewThumbs": Drawn(
            "[CameraPreviewThumbs(), PerspectiveCamera(position=[0, 0.3, 3]), Box()]",
            part=(0, 360, 480, 660),
        ),
        "ViewportHud": Drawn(
            'ViewportHud(SimplePerspectiveCamera(makeDefault=True, position=[0, 0, 3]), AmbientLight(intensity=3), Box(rotation=[1, 1, 0], material={"color": "crimson"}), left=260, top=190, width=200, height=200)'
        ),
        "HUDPlane": Drawn(
            'HUDPlane(MeshBasicMaterial(color="#4e8cff"), distanceToCamera=2, height=0.4, aspect=1.6)'
        ),
    },
    "Light and shadow": {
        "AmbientLight": Drawn(
            '[AmbientLight(intensity=2), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "DirectionalLight": Drawn(
            '[DirectionalLight(position=[2, 2, 1], intensity=3), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "HemisphereLight": Drawn(
            '[HemisphereLight(skyColor="skyblue", groundColor="saddlebrown", intensity=3), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "PointLight": Drawn(
            '[PointLight(position=[1, 1, 1], intensity=8), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "RectAreaLight": Drawn(
            '[RectAreaLight(width=1, height=1, position=[0, 1.2, 1.2], lookAt=[0, 0, 0], intensity=20), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "SpotLight": Drawn(
            '[SpotLight(position=[1, 2, 2], angle=0.2, penumbra=0.5, intensity=60), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "Stage": Drawn(
            'Stage(Sphere(args=[0.8, 48, 48], materialType="standard"), environment=None)',
            lit=False,
        ),
        "AmbientLightStage": Drawn(
            '[AmbientLightStage(), Sphere(args=[0.8, 48, 48], materialType="standard")]', lit=False
        ),
        "HemisphereLightStage": Drawn(
            '[HemisphereLightStage(), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
        "AccumulativeShadows": Drawn(
            '[AccumulativeShadows(RandomizedLight(position=[2, 3, 1]), frames=40, scale=6, position=[0, -0.5, 0]), Box(material={"color": "#4e8cff"})]',
            camera=_FAR,
        ),
        "RandomizedLight": Drawn(
            '[RandomizedLight(amount=8, radius=2, position=[2, 2, 1]), Sphere(args=[0.8, 48, 48], materialType="standard")]',
            lit=False,
        ),
    },
    "Surroundings": {
        "Grid": Drawn("Grid()", camera=_FAR),
        "BackgroundColor": Drawn('[BackgroundColor(color="#7c3aed"), Box()]', background=None),
        "Fog": Drawn(
            '[Fog(color="#e8ebf0", near=2, far=6), *[Box(position=[0, 0, -2 * n]) for n in range(4)]]',
            camera=(2.5, 1, 2),
        ),
    },
    "Models": {
        "Obj": Drawn(
            'Obj(text="v -1 0 0\\nv 1 0 0\\nv 0 1 0\\nv 0 0 1\\nf 1 2 3\\nf 1 4 2\\nf 2 4 3\\nf 3 4 1")'
        ),
        "Stl": Drawn(
            'Stl(text="solid s\\nfacet normal 0 0 1\\nouter loop\\nvertex -1 0 0\\nvertex 1 0 0\\nvertex 0 1 0\\nendloop\\nendfacet\\nendsolid")'
        ),
        "Ply": Drawn(
            'Ply(src="data:,ply%0Aformat%20ascii%201.0%0Aelement%20vertex%203%0Aproperty%20float%20x%0Aproperty%20float%20y%0Aproperty%20float%20z%0Aelement%20face%201%0Aproperty%20list%20uchar%20int%20vertex_index%0Aend_header%0A-1%200%200%0A1%200%200%0A0%201%200%0A3%200%201%202")'
        ),
        "Pcd": Drawn(
            'Pcd(src="data:,VERSION%20.7%0AFIELDS%20x%20y%20z%0ASIZE%204%204%204%0ATYPE%20F%20F%20F%0ACOUNT%201%201%201%0AWIDTH%203%0AHEIGHT%201%0AVIEWPOINT%200%200%200%201%200%200%200%0APOINTS%203%0ADATA%20ascii%0A-0.5%200%200%0A0.5%200%200%0A0%200.5%200", size=0.1)'
        ),
        "Urdf": Drawn(
            "Urdf(src=\"data:text/xml,<robot name='r'><link name='a'><visual><geometry><box size='1 1 1'/></geometry></visual></link></robot>\")"
        ),
    },
    "Materials": {
        "MeshBasicMaterial": _material('MeshBasicMaterial(color="#4e8cff")'),
        "MeshDepthMaterial": _material("MeshDepthMaterial()"),
        "MeshLambertMaterial": _material('MeshLambertMaterial(color="#4e8cff")'),
        "MeshMatcapMaterial": _material('MeshMatcapMaterial(color="#4e8cff")'),
        "MeshNormalMaterial": _material("MeshNormalMaterial()"),
        "MeshPhongMaterial": _material('MeshPhongMaterial(color="#4e8cff", shininess=80)'),
        "MeshPhysicalMaterial": _material(
            'MeshPhysicalMaterial(color="#4e8cff", clearcoat=1, roughness=0.4)'
        ),
        "MeshStandardMaterial": _material(
            'MeshStandardMaterial(color="#4e8cff", roughness=0.3, metalness=0.3)'
        ),
        "MeshToonMaterial": _material('MeshToonMaterial(color="#4e8cff")'),
        "ShaderMaterial": _material(
            'ShaderMaterial(fragmentShader="void main() { gl_FragColor = vec4(0.3, 0.5, 1.0, 1.0); }")'
        ),
        "RawShaderMaterial": _material(
            'RawShaderMaterial(vertexShader="attribute vec3 position; uniform mat4 projectionMatrix, modelViewMatrix; void main() { gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); }", fragmentShader="void main() { gl_FragColor = vec4(0.3, 0.5, 1.0, 1.0); }")'
        ),
        "LineBasicMaterial": Drawn(
            'SceneElement(Element(tag="circleGeometry", args=[0.8, 6]), LineBasicMaterial(color="crimson"), tag="lineLoop")',
            camera=_FRONT,
        ),
        "PointsMaterial": Drawn(
            'SceneElement(Element(tag="boxGeometry", args=[1, 1, 1, 5, 5, 5]), PointsMaterial(size=0.08, color="crimson"), tag="points")'
        ),
        "SpriteMaterial": Drawn('SceneElement(SpriteMaterial(color="crimson"), tag="sprite")'),
    },
}

#: by name, the reason
NOT_DRAWN: dict[str, str] = {}

_HEADSET = "shows what a headset tracks"
_SILENT = "has no look of its own"
_FILE = "shows a file, which the browser fetches from `src`"
_VIDEO = "shows a video, which the browser fetches from `src`"
_STREAM = "shows a [WebRTC stream](webrtc.md)"
_DEPTH = "shows depth images, which the browser fetches"
_PHYSICS = "needs the package of MuJoCo, which `ContribLoader` loads, and a model"
_UNKNOWN = "is no element of this web client"
_GEOMETRY = "needs a geometry object of three.js in `args`, which no message can hold"
_MOTION = "moves other elements over time"
_BASE = "is a base class"

NOT_DRAWN |= {
    **dict.fromkeys(["Body", "Hands", "Head", "MotionControllers", "WebXRMesh"], _HEADSET),
    **dict.fromkeys(
        [
            *("ContribLoader", "Gamepad", "GrabRender", "KeyboardMonitor", "OrbitControls"),
            *("PointerControls", "SceneCameraControl"),
        ],
        _SILENT,
    ),
    "TimelineControls": "is a panel beside the scene",
    **dict.fromkeys(["Dae", "Fbx", "Glb", "LumaSplats", "SparkSplats", "Splat"], _FILE),
    "Bvh": _FILE,
    "Text3D": "needs a typeface file, which the browser fetches from `font`",
    **dict.fromkeys(["StereoVideoPlane", "VideoPlane"], _VIDEO),
    **dict.fromkeys(["WebRTCStereoVideoPlane", "WebRTCVideoPlane"], _STREAM),
    **dict.fromkeys(
        ["DepthPointCloud", "DepthPointCloudProvider", "InPlaceDepthPointCloud"], _DEPTH
    ),
    **dict.fromkeys(
        ["HandActuator", "MjCameraView", "MotionControllerActuator", "MuJoCo", "MuJoCoProvider"],
        _PHYSICS,
    ),
    **dict.fromkeys(
        ["BBox", "CameraHelper", "Clickable", "VideoMaterial", "VuerSplat", "WebRTCVideoMaterial"],
        _UNKNOWN,
    ),
    **dict.fromkeys(["Edges", "Wireframe"], _GEOMETRY),
    **dict.fromkeys(
        ["AnimationClip", "PlaybackAnimate", "QuaternionTrack", "ThreeAnimate", "VectorTrack"],
        _MOTION,
    ),
    **dict.fromkeys(["Material", "ModelNode", "SceneElement"], _BASE),
    "LineDashedMaterial": "needs a call of three.js, `computeLineDistances`",
    "CameraPreviewOverlay": "is shown once a camera has been chosen",
    "Facemesh": "needs the 468 points of a face",
    "MeshDistanceMaterial": "is for the shadows of point lights",
    "ShadowMaterial": "shows nothing but shadows",
    **dict.fromkeys(["DefaultScene", "Scene"], "is the root, in which all the others are"),
}
