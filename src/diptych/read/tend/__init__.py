"""Look after read models while they serve: rebuild, verify, switch, tell how they are, act on them."""
