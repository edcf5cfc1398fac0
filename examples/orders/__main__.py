"""Serve the Orders application on 127.0.0.1, at the port that `PORT` names or 8000. SIGTERM stops it with exit 0."""

from diptych.fastapi import serve

from .app import http

serve(http)
