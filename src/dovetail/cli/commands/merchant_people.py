"""`dovetail merchant refund` and `user`: what the owner of a shop decides."""

from typing import Any

import click

from dovetail.cli import json_keys
from dovetail.cli.help_layout import Group
from dovetail.cli.options import common, json_option, together
from dovetail.cli.output import Screen

where_database = click.option(
    "--database",
    metavar="PLACE",
    help="A file, or a URL that begins with postgresql://; else a file in the data folder.",
)
where = together(
    where_database,
    click.option(
        "--signer",
        metavar="PLACE",
        help="Where the signer listens: a socket's path, or host:port with TLS.",
    ),
)

_sure = click.option("--yes", is_flag=True, help="Do it without a question.")


@click.group(
    cls=Group,
    examples={
        "dovetail merchant refund list --waiting": "Show the refunds that wait for a decision.",
        "dovetail merchant refund approve ID": "Pay one.",
        "dovetail merchant approve": "Show what waits at the signer then.",
    },
)
def refund() -> None:
    """Decide which refunds are paid.

    A refund is asked for over the API, and its customer gives an address. Once it is approved here
    the server makes its transaction, which waits at the signer for `dovetail merchant approve`.
    """


@refund.command("list")
@click.option("--waiting", is_flag=True, help="Only those that wait for a decision.")
@where_database
@json_option(json_keys.MERCHANT_REFUNDS)
@common
def list_(*, as_json: bool, **given: Any) -> int:
    """Show the newest refunds, and what keeps them from being paid."""
    from dovetail.cli.handlers import merchant_refunds as handler

    return handler.listed(Screen(as_json=as_json), **given)


@refund.command()
@click.argument("refund_id", metavar="ID")
@_sure
@where_database
@json_option(json_keys.MERCHANT_REFUND)
@common
def approve(*, as_json: bool, **given: Any) -> int:
    """Approve a refund whose customer has given an address."""
    from dovetail.cli.handlers import merchant_refunds as handler

    return handler.approve(Screen(as_json=as_json), **given)


@refund.command()
@click.argument("refund_id", metavar="ID")
@_sure
@where_database
@json_option(json_keys.MERCHANT_REFUND)
@common
def decline(*, as_json: bool, **given: Any) -> int:
    """Pay nothing; one that is being paid cannot be declined."""
    from dovetail.cli.handlers import merchant_refunds as handler

    return handler.decline(Screen(as_json=as_json), **given)


@click.group(
    cls=Group,
    examples={
        "dovetail merchant user add Ada --role owner": "Make a user; asks for a password.",
        "dovetail merchant user list": "Show who there is.",
    },
)
def user() -> None:
    """Say who may sign in to the shop.

    An owner may do everything, a manager takes payments and asks for refunds, and a viewer only
    looks.
    """


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(("owner", "manager", "viewer")),
    default="viewer",
    show_default=True,
    help="What they may do.",
)
@where_database
@json_option(json_keys.MERCHANT_USER)
@common
def add(*, as_json: bool, **given: Any) -> int:
    """Make a user; asks for a password, or reads the first line of its input."""
    from dovetail.cli.handlers import merchant_users as handler

    return handler.add(Screen(as_json=as_json), **given)


@user.command("list")
@where_database
@json_option(json_keys.MERCHANT_USERS)
@common
def list_users(*, as_json: bool, **given: Any) -> int:
    """Show the users."""
    from dovetail.cli.handlers import merchant_users as handler

    return handler.listed(Screen(as_json=as_json), **given)


@user.command()
@click.argument("name")
@where_database
@json_option(json_keys.MERCHANT_USER)
@common
def disable(*, as_json: bool, **given: Any) -> int:
    """Lock a user out, for good."""
    from dovetail.cli.handlers import merchant_users as handler

    return handler.disable(Screen(as_json=as_json), **given)


@user.command()
@click.argument("name")
@where_database
@json_option(json_keys.MERCHANT_USER)
@common
def password(*, as_json: bool, **given: Any) -> int:
    """Give a user another password; asks for it, or reads the first line of its input."""
    from dovetail.cli.handlers import merchant_users as handler

    return handler.password(Screen(as_json=as_json), **given)
