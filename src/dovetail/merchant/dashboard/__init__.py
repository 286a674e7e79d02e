"""The shopkeeper's pages: sign in, see and settle everything in a browser.

They are HTML from the server, work without JavaScript, and ask no other host for anything.
"""

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant.dashboard"):
    import jinja2 as jinja2

from dovetail.merchant.dashboard.routes import mount as mount
