"""The right panel: projections kept in step with the log, read models, and queries over them."""
