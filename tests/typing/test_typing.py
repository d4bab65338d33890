"""What the types of the interface let through, and what they refuse."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from vuer_trio import SceneStore, Vuer, VuerClient, events, schemas

pytestmark = pytest.mark.no_cover

api = pytest.importorskip("mypy.api")

HERE = Path(__file__).parent


class Mistake(NamedTuple):
    """One of a user's, and who sees it: the checker, or the call or decorator when it is run."""

    name: str
    source: str
    #: the kinds of mypy's errors
    checked: str
    #: what its TypeError says, or None
    raises: str | None = None


MISTAKES = [
    Mistake("misspelt property", "Box(positoin=[0, 0, 0])", "call-arg"),
    Mistake("property of another type", 'Box(position="0 0 0")', "arg-type"),
    Mistake(
        "handler without the session",
        """
        @app.add_handler("GO")
        def on_go(event: ClientEvent) -> None: ...
        """,
        "type-var",
        r'add_handler\("GO"\): on_go must take \(event, session\), got \(event\)',
    ),
    Mistake(
        "handler without the session, passed",
        'app.add_handler("GO", lambda event: None)',
        "arg-type misc",
        r"<lambda> must take \(event, session\), got \(event\)",
    ),
    Mistake(
        "handler of the server at a client",
        """
        @client.on("GO")
        def on_go(event: ServerEvent, session: VuerSession) -> None: ...
        """,
        "type-var",
        r'on\("GO"\): on_go must take \(event\), got \(event, session\)',
    ),
    Mistake(
        "answer to nothing",
        """
        @client.answer("GRAB_RENDER")
        async def render() -> None: ...
        """,
        "type-var",
        r'answer\("GRAB_RENDER"\): render must take \(event\), got \(\)',
    ),
    Mistake(
        "handler without an event type",
        """
        @app.add_handler
        def on_go(event: ClientEvent, session: VuerSession) -> None: ...
        """,
        "call-overload",
        "etype must be a str, 'SET', got <function on_go",
    ),
    Mistake(
        "sync program",
        """
        @app.spawn
        def main(session: VuerSession) -> None: ...
        """,
        "type-var",
        "spawn: main must be an async function",
    ),
    Mistake(
        "program of two",
        """
        @app.spawn(client="python")
        async def main(event: ClientEvent, session: VuerSession) -> None: ...
        """,
        "type-var",
        r"spawn: main must take \(session\), got \(event, session\)",
    ),
    Mistake(
        "program that yields",
        """
        @app.spawn
        async def main(session: VuerSession) -> AsyncGenerator[ServerEvent, None]:
            yield Noop()
        """,
        "type-var",
        "it yields, so pass it to bind",
    ),
    Mistake(
        "coroutine function where a generator is bound",
        """
        @app.bind
        async def frames(session: VuerSession) -> None: ...
        """,
        "type-var",
        "bind: frames must be an async generator function",
    ),
    Mistake("forgotten await of a send", "client.send(ClientEvent())", "unused-coroutine"),
    Mistake("forgotten await of a session's", "session.recv().value", "attr-defined"),
    Mistake("number as a policy", "Vuer(outbox=100)", "arg-type", "outbox must be"),
    Mistake("element sent as an event", 'client.send @ Box(key="box")', "operator"),
    Mistake("event as an element", "store.upsert(Noop())", "", "takes an element, got an event"),
    Mistake("class of an element, not called", "session.upsert(Box)", "call-overload"),
    Mistake("parent by its element", "session.upsert(Box(), to=Box())", "call-overload"),
    Mistake("misspelt verb", "session.upserd(Box())", "attr-defined"),
]
#: those whose properties have types, and what they cannot do without
TYPED = dict.fromkeys(
    [
        *["Scene", "DefaultScene", "Group", "VuerGroup", "group", "Movable"],
        *["Box", "Capsule", "Circle", "Cone", "Cylinder", "Plane", "Ring", "Sphere", "Torus"],
        *["Dodecahedron", "Icosahedron", "Octahedron", "Polyhedron", "Tetrahedron", "TorusKnot"],
        *["Arrow", "CoordsMarker", "Frustum", "Grid", "Line", "CatmullRomLine"],
        *["Glb", "Obj", "Pcd", "Ply", "Stl", "Urdf", "Splat", "PointCloud", "TriMesh"],
        *["Image", "ImageBackground", "HUDPlane", "Text", "Text3D", "Html"],
        *["VideoPlane", "StereoVideoPlane", "WebRTCVideoPlane"],
        *["PerspectiveCamera", "OrthographicCamera", "SceneCamera", "CameraView"],
        *["OrbitControls", "PointerControls", "Gamepad", "Hands", "MotionControllers"],
        *["AmbientLight", "DirectionalLight", "HemisphereLight", "PointLight", "RectAreaLight"],
        "SpotLight",
    ],
    "",
) | {"PointCloud": ", vertices=array", "TriMesh": ", vertices=array, faces=array"}
PREAMBLE = """
from __future__ import annotations
from collections.abc import AsyncGenerator
from vuer_trio import SceneStore, Vuer, VuerClient, VuerSession
from vuer_trio.events import ClientEvent, Noop, ServerEvent
from vuer_trio.schemas import Box
"""
HEAD = """
async def mistake_{}(
    app: Vuer, client: VuerClient, session: VuerSession, store: SceneStore
) -> None:
"""


def elements_program() -> str:
    """Each element that is `TYPED`, right and, in the next line, with a misspelt property."""
    lines = ["import numpy as np", "from vuer_trio import schemas", "array = np.zeros((1, 3))"]
    for name, needed in TYPED.items():
        right = "up=[0, 1, 0]" if name.endswith("Scene") else "position=[0, 1, 0], children=[]"
        lines.append(f'schemas.{name}(key="k", {right}{needed})')
        lines.append(f'schemas.{name}(key="k", positoin=[0, 1, 0]{needed})')
    return "\n".join(lines) + "\n"


def mistakes_program() -> tuple[str, dict[str, range]]:
    """A program that makes all of them, and the lines of each."""
    lines, places = PREAMBLE.splitlines(), {}
    for number, mistake in enumerate(MISTAKES):
        source = textwrap.dedent(mistake.source).strip().splitlines()
        lines += HEAD.format(number).splitlines()
        places[mistake.name] = range(len(lines) + 1, len(lines) + len(source) + 1)
        lines += [" " * 4 + line for line in source]
    return "\n".join(lines) + "\n", places


@pytest.fixture(scope="module")
def errors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[tuple[int, str]]]:
    """Line and kind of what mypy finds in each program, in a user's own setting: none."""
    assert request.config.cache is not None
    programs = [HERE / f"{name}_program.py" for name in ("user", "scene", "server", "wrong")]
    folder = tmp_path_factory.mktemp("typing")
    programs += [folder / "mistakes_program.py", folder / "elements_program.py"]
    programs[-2].write_text(mistakes_program()[0], "utf-8")
    programs[-1].write_text(elements_program(), "utf-8")
    limit = sys.getrecursionlimit()
    output, complaint, status = api.run(
        [
            "--strict",
            "--config-file=",
            f"--cache-dir={request.config.cache.mkdir('mypy')}",
            "--show-error-codes",
            "--hide-error-context",
            "--no-pretty",
            "--no-error-summary",
            *map(str, programs),
        ]
    )
    sys.setrecursionlimit(limit)  # mypy has raised it, for all tests to come
    assert (complaint, status) == ("", 1)  # 2 if it could not check them
    found: dict[str, set[tuple[int, str]]] = {path.name: set() for path in programs}
    for line in output.splitlines():
        if match := re.fullmatch(r"(.+?):(\d+): error: .*\[([\w-]+)\]", line):
            found[Path(match[1]).name].add((int(match[2]), match[3]))
        else:
            assert ": note: " in line
    return found


def test_a_users_program_is_well_typed(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["user_program.py"] == set()


def test_a_scene_of_many_elements_is_well_typed(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["scene_program.py"] == set()


def test_a_server_is_well_typed(errors: dict[str, set[tuple[int, str]]]) -> None:
    assert errors["server_program.py"] == set()


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_seen_where_it_is_made(
    errors: dict[str, set[tuple[int, str]]], mistake: Mistake
) -> None:
    assert mistake.checked or mistake.raises
    lines = mistakes_program()[1][mistake.name]
    found = {kind for line, kind in errors["mistakes_program.py"] if line in lines}
    assert found == set(mistake.checked.split())
    if mistake.raises:
        names: dict[str, Any] = {**vars(events), **vars(schemas), "Vuer": Vuer}
        names |= {"client": VuerClient("ws://localhost:1"), "app": Vuer(port=0)}
        names["store"] = SceneStore()
        source = "from __future__ import annotations\n" + textwrap.dedent(mistake.source)
        with pytest.raises(TypeError, match=mistake.raises):
            exec(source, names)


def test_a_misspelt_property_of_the_most_used_elements_is_seen(
    errors: dict[str, set[tuple[int, str]]],
) -> None:
    assert len(TYPED) >= 45
    wrong = range(5, 5 + 2 * len(TYPED), 2)
    assert errors["elements_program.py"] == {(line, "call-arg") for line in wrong}


def test_a_program_may_pass_properties_that_have_no_type() -> None:
    for name, needed in TYPED.items():
        element = eval(f"schemas.{name}(positoin=5{needed})", None, {"array": np.zeros((1, 3))})
        assert element._serialize()["positoin"] == 5


def test_every_mistake_is_refused_where_it_is(errors: dict[str, set[tuple[int, str]]]) -> None:
    source = (HERE / "wrong_program.py").read_text("utf-8").splitlines()
    expected = {
        (number, match[1])
        for number, line in enumerate(source, 1)
        if (match := re.search(r"  # ([\w-]+)$", line))
    }
    assert len(expected) > 35
    assert errors["wrong_program.py"] == expected
