"""The questions of a first run, each with the check of its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dovetail.bitcoin import Network
from dovetail.cli.config import LOCAL_CHAIN, LOCAL_MAILROOM, Settings, readers
from dovetail.cli.context import CORE
from dovetail.cli.first_run import checks
from dovetail.cli.options import NETWORKS
from dovetail.errors import ConfigurationError
from dovetail.merchant.messages.base import Name
from dovetail.merchant.public_url import PublicUrl
from dovetail.merchant.services.users import require_name
from dovetail.merchant.wallet.descriptors import cold_descriptor

PAYMENTS_STAY = "Payments stay in the hot wallet, as there is no cold storage to settle in."


@dataclass(frozen=True, slots=True)
class Draft:
    """The settings before the first run, and the answers so far."""

    settings: Settings
    answers: Mapping[str, Any]

    @property
    def network(self) -> Network:
        """The network, which is asked for first."""
        return Network(self.answers["network"])


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer as it is kept, and what its check has found, in a sentence."""

    value: Any
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One answer of a person, or one key of a file."""

    key: str
    prompt: str
    words: str
    """What is told before it is asked; empty where the question before has told it."""
    check: Callable[[Any, Draft], Checked]
    """Raises `DovetailError` for a wrong answer."""
    usual: Callable[[Draft], Any]
    """The answer unless another one is given; None: there is none."""
    needs: tuple[str, ...] = ("network",)
    """The answers without which this one cannot be checked."""


def _network(value: Any, _: Draft) -> Checked:
    return Checked(readers.choice(*NETWORKS)("network", value))


def _cold(value: Any, draft: Draft) -> Checked:
    if not isinstance(value, str):
        raise ConfigurationError("`cold` must be text: correct it.")
    if not value.strip():
        return Checked(None, PAYMENTS_STAY)
    found = cold_descriptor(value, draft.network, name="cold")
    first = checks.first_address(found, draft.network)
    return Checked(
        found, f"Its first address is {first}: make sure that your wallet shows the same one."
    )


def _chain(value: Any, draft: Draft) -> Checked:
    if draft.settings.wallet == CORE:
        return Checked(None, checks.chain(checks.at(draft.settings, draft.network)))
    url = readers.server("chain", value)
    return Checked(url, checks.chain(checks.at(draft.settings, draft.network, chain=url)))


def _directory(value: Any, draft: Draft) -> Checked:
    urls = readers.urls("directory", value)
    if not urls:
        raise ConfigurationError("`directory` must be the URL of a directory: give one.")
    return Checked(checks.at(draft.settings, draft.network, directory=urls).directories)


def _relays(value: Any, draft: Draft) -> Checked:
    urls = readers.urls("relays", value)
    if not urls and not draft.settings.direct:
        raise ConfigurationError(
            "`relays` must name a relay at least, as without one the directory sees this machine's"
            " address: give one."
        )
    home = checks.at(
        draft.settings, draft.network, directory=draft.answers["directory"], relays=urls
    )
    return Checked(urls, checks.routes(home))


def _name(value: Any, _: Draft) -> Checked:
    try:
        return Checked(msgspec.convert(value.strip(), Name))
    except (AttributeError, msgspec.ValidationError):
        raise ConfigurationError(
            "`name` must be one line of 1 to 100 letters: choose another."
        ) from None


def _public_url(value: Any, draft: Draft) -> Checked:
    if not isinstance(value, str):
        raise ConfigurationError("`public_url` must be text: correct it.")
    if not value.strip():
        return Checked(None)
    found = PublicUrl.parse(value.strip())
    found.require_safe(draft.network)
    return Checked(str(found))


def _user(value: Any, _: Draft) -> Checked:
    name = readers.text("user", value)
    try:
        require_name(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"`user`: {error}") from None
    return Checked(name)


def _usual(key: str, local: str | None = None) -> Callable[[Draft], Any]:
    """What the settings say, or on regtest what runs on this machine."""

    def usual(draft: Draft) -> Any:
        known = getattr(draft.settings, key)
        is_regtest = draft.answers.get("network") == Network.REGTEST
        return known or (local if is_regtest else None)

    return usual


QUESTIONS = (
    Question(
        key="network",
        prompt="Network",
        words="1. The network: mainnet for real money, signet or regtest to try things out.",
        check=_network,
        usual=_usual("network"),
        needs=(),
    ),
    Question(
        key="cold",
        prompt="Cold storage",
        words="2. Cold storage, where payjoins settle: the extended public key (xpub, zpub) or the"
        " public descriptor of a wallet whose keys are elsewhere. Nothing: payments stay in the hot"
        " wallet, whose keys the signer has.",
        check=_cold,
        usual=lambda draft: draft.settings.merchant.get("cold", ""),
    ),
    Question(
        key="chain",
        prompt="Chain source",
        words="3. The chain source: an Esplora server (https://...) or an Electrum server"
        " (ssl://host:port), your own or one you trust: it sees the shop's addresses.",
        check=_chain,
        usual=_usual("chain", LOCAL_CHAIN),
    ),
    Question(
        key="directory",
        prompt="Directory",
        words="4. The directory, where payjoins come in, and relays of others, which keep this"
        " machine's address from it.",
        check=_directory,
        usual=_usual("directory", LOCAL_MAILROOM),
    ),
    Question(
        key="relays",
        prompt="Relays, with spaces between",
        words="",
        check=_relays,
        usual=_usual("relays", LOCAL_MAILROOM),
        needs=("network", "directory"),
    ),
    Question(
        key="name",
        prompt="Name",
        words="5. The name of the shop, as customers know it.",
        check=_name,
        usual=lambda _: None,
        needs=(),
    ),
    Question(
        key="public_url",
        prompt="Address",
        words="The address at which customers reach it, such as https://pay.example; a proxy there"
        " speaks https. Nothing: the shop is for this machine alone.",
        check=_public_url,
        usual=lambda draft: draft.settings.merchant.get("public_url", ""),
    ),
    Question(
        key="user",
        prompt="User",
        words="The first user, who may do everything.",
        check=_user,
        usual=lambda _: None,
        needs=(),
    ),
)
