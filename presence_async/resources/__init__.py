"""One module per area of the API: arguments in, models out.

Resources receive a `send` and know nothing of the session behind it.
"""
