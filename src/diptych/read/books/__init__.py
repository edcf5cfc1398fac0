"""Keep the books of what follows the log: how far each has come, who owns it, what is set aside, who waits."""
