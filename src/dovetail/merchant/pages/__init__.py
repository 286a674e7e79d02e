"""Pages for the shop's customers: an invoice's checkout, a refund's claim, points of sale.

They are HTML from the server, work without JavaScript, and ask no other host for anything.
"""

from dovetail.extras import brought_by

with brought_by("merchant", "dovetail.merchant.pages"):
    import jinja2 as jinja2
    import segno as segno

from dovetail.merchant.pages.routes import mount as mount
