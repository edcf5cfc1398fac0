"""The edges of an application: HTTP, and the command line."""
