"""
Take orders, change them, ship them, and answer questions about them.

Read it in this order: `values`, `events`, `rules`, `order` decide what may
happen; `views` says what is shown of it; `messages`, `handlers`, `app` connect
both to HTTP. `python -m orders` serves it, `python -m orders.load` fills it.
"""
