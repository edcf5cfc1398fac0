"""Put an application on HTTP with FastAPI; the public name is `diptych.fastapi`."""
