"""Keep read models in step with the log: read, apply, own, take over, stand still, go on."""
