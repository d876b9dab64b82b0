"""An app that shows timelines, served in a process of its own."""

from __future__ import annotations

import os

from fastapi import FastAPI

from a2a_session_manager.integrations.fastapi import install_problem_handlers, session_lifespan, session_router

app = FastAPI(lifespan=session_lifespan(os.environ["SESSIONS_URL"]))
install_problem_handlers(app)
app.include_router(session_router(timeline=True))
