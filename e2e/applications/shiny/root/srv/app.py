"""An application with a computation that sends nothing to its page, and `/busy` for the busy probe."""

import asyncio

from shiny import App, reactive, render, ui
from starlette.responses import JSONResponse
from starlette.routing import Route

running = 0

page = ui.page_fluid(
    ui.input_numeric("seconds", "Seconds", 60),
    ui.input_action_button("compute", "Compute"),
    ui.output_text("result"),
)


def server(input, output, session):
    @render.text
    @reactive.event(input.compute)
    async def result():
        global running
        running += 1
        try:
            await asyncio.sleep(input.seconds())
        finally:
            running -= 1
        return "done"


async def busy(request):
    return JSONResponse({"busy": running > 0})


app = App(page, server)
app.starlette_app.routes.insert(0, Route("/busy", busy))
