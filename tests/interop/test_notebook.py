"""A notebook: a real Jupyter kernel runs ten cells that build a scene and change it."""

from __future__ import annotations

import warnings

import nbformat
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the packages' own making, at their import
    from nbclient import NotebookClient

pytestmark = pytest.mark.filterwarnings("ignore")  # as above: the kernel is another process

NOTEBOOK = """
from vuer_trio.schemas import Box, Sphere
from vuer_trio.sync import open_vuer_client, open_vuer_server
# %%
server = open_vuer_server(0)
server
# %%
server.scene.upsert @ Box(key="box", args=[1, 1, 1])
# %%
viewer = open_vuer_client(server.uri, mirror_scene=True).connect()
server.wait_for_client(30).client_info["client"]
# %%
moves = []
server.on("MOVE", lambda event: moves.append(event.value))
len(server.clients)
# %%
for x in range(5):
    server.scene.update @ Box(key="box", position=[x, 0, 0])
# %%
server.scene.upsert @ [Sphere(key=f"ball-{n}") for n in range(3)]
server.scene.remove @ "ball-1"
# %%
import time
from vuer_trio.events import ClientEvent
viewer.send(ClientEvent(etype="MOVE", value=[1, 2, 3]))
while not moves:
    time.sleep(0.01)
moves, server.latest("MOVE").value
# %%
while "ball-2" not in viewer.scene:
    time.sleep(0.01)
same = viewer.scene.to_dict() == server.scene.scene_data
viewer.scene.get("box")["position"], "ball-1" in viewer.scene, same
# %%
import threading
viewer.close()
server.close()
server, [thread.name for thread in threading.enumerate() if "vuer" in thread.name]
"""


def test_a_scene_over_ten_cells():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in NOTEBOOK.split("# %%")]
    )
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    results = [
        output["data"]
        for cell in notebook.cells
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    assert results[0]["text/html"].startswith('<iframe src="http://localhost:')
    assert [data["text/plain"] for data in results[1:]] == [
        "'python'",
        "1",
        "([[1, 2, 3]], [1, 2, 3])",
        "([4, 0, 0], False, True)",
        "(<BlockingVuerServer closed>, [])",
    ]
    streams = [
        out for cell in notebook.cells for out in cell.outputs if out.output_type == "stream"
    ]
    assert streams == []  # nothing is printed, and no warning
