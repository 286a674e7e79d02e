"""The test of the whole setup, asked for in a browser."""

from tests.merchant.dashboard.browsing import PASSWORD, PUBLIC, QUICK, Browser
from tests.merchant.till import open_till

from dovetail.merchant.api import make_app
from dovetail.merchant.dashboard import mount
from dovetail.merchant.data.database import Database
from dovetail.merchant.messages import Role
from dovetail.merchant.services.health import Health
from dovetail.merchant.services.users import Users


async def test_every_part_of_a_shop_is_asked(world, tmp_path) -> None:
    with Database.open(tmp_path / "till.db") as database:
        users = Users(database, QUICK)
        users.add("Ada", PASSWORD, Role.OWNER, by="test")
        async with open_till(world, database, works=False) as till:
            parts = till.parts
            mounts = (mount(parts, Health(parts), users=users),)
            browser = Browser(make_app(parts, public=PUBLIC, mounts=mounts))
            await browser.sign_in()
            answer = await browser.get("/dashboard/check")
    assert answer.status == 200
    for about in ("database", "chain", "directory", "signer", "store Shop"):
        assert f" {about} " in answer.said
    assert "It answers, and keeps payments hot" in answer.said


async def test_a_shop_without_a_store_is_told_to_make_one(office) -> None:
    answer = await (await office.user()).get("/dashboard/check")
    assert (answer.status, "make a store first" in answer.said) == (422, True)


async def test_a_viewer_asks_no_part(office) -> None:
    browser = await office.user(Role.VIEWER)
    assert (await browser.get("/dashboard/check")).status == 403
    assert "Test the whole setup" not in (await browser.get("/dashboard")).said
