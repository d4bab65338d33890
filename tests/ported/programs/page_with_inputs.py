"""A page of text and inputs around the scene."""

from vuer import Vuer
from vuer.schemas import (
    AutoScroll,
    Bold,
    Button,
    Header1,
    Header2,
    Iframe,
    InputBox,
    Italic,
    Link,
    Markdown,
    Page,
    Paragraph,
    Scene,
    Slider,
    div,
    span,
)

app = Vuer()


@app.spawn(start=True)
async def main(session):
    session.set @ Scene(
        htmlChildren=[
            Page(
                Header1("Robot", key="h1"),
                Header2("State", key="h2"),
                Paragraph(
                    "It ", Bold("moves", key="b"), " and ", Italic("waits", key="i"), key="p"
                ),
                Markdown("*ready*", key="md"),
                Link("docs", src="https://example.com", key="link"),
                div(span("a", "b", sep="-", key="span"), key="div"),
                AutoScroll(key="scroll"),
                Button(text="stop", key="button"),
                InputBox(value="name", key="input"),
                Slider(min=0, max=1, step=0.1, value=0.5, key="slider"),
                Iframe(src="https://example.com", key="frame"),
                key="page",
            )
        ]
    )
    await session.forever()
