"""A wallet of descriptors on BDK, its data in SQLite (extra `bdk`)."""

import threading
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dovetail.extras import brought_by

with brought_by("agent", "dovetail.wallets.bdk.BdkWallet"):
    from bdkpython import KeychainKind, Persister, Update
    from bdkpython import Wallet as BdkCore

from dovetail.bitcoin import (
    Address,
    FeeRate,
    Network,
    OutPoint,
    Psbt,
    Sats,
    Script,
    ScriptType,
    Transaction,
)
from dovetail.crypto.entropy import Entropy, system
from dovetail.errors import ChainError, ConfigurationError, WalletError, WalletLocked
from dovetail.protocol.coin import Coin
from dovetail.wallets.bdk.building import payment, payment_of_all
from dovetail.wallets.bdk.coins import usable, with_signing_data
from dovetail.wallets.bdk.errors import CONNECT_ERRORS, NOTHING_STORED, storing
from dovetail.wallets.bdk.history import transactions
from dovetail.wallets.bdk.keys import (
    BDK_NETWORKS,
    descriptors,
    new_mnemonic,
    public,
    secret_from_descriptors,
    secret_from_mnemonic,
)
from dovetail.wallets.bdk.revocation import revocation
from dovetail.wallets.bdk.signing import (
    is_ours,
    our_output,
    sign_ours,
)
from dovetail.wallets.bdk.sync import Question, begun, fetch_update
from dovetail.wallets.ports import Balance, WalletTransaction
from dovetail.wallets.server_url import ChainServer
from dovetail.wallets.wallet_file import (
    Locked,
    Secret,
    change_counter,
    data_path,
    exclusive,
    has_wallet,
    locked,
    read_secret,
    replace_secret,
    write_secret,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

# BDK's sums silently overflow at rates far above this one: it would pay no fee at all.
_MAX_FEE_RATE = FeeRate(2**32)
_KEYCHAINS = (KeychainKind.EXTERNAL, KeychainKind.INTERNAL)


class BdkWallet:
    """A `Wallet` of two descriptors; make one with `create` or `open`.

    Threads may share it, and several processes its directory. Its repr shows no keys (P4).
    """

    def __init__(
        self, directory: Path, secret: Secret | Locked, *, server: ChainServer | str
    ) -> None:
        self._server = ChainServer.of(server)
        self._directory = directory
        self._secret = secret
        self._stored = secret
        self._descriptors = descriptors(secret)
        self._lock = threading.RLock()
        self._sync_lock = threading.Lock()
        self._begun: Future[Update] | None = None
        with self._changing():
            pass

    def __repr__(self) -> str:
        return f"<BdkWallet on {self.network}>"

    @classmethod
    def create(
        cls,
        directory: Path,
        network: Network,
        *,
        server: ChainServer | str,
        kind: ScriptType = ScriptType.P2WPKH,
        mnemonic: str | None = None,
        descriptors: tuple[str, str] | None = None,
        passphrase: str | None = None,
        entropy: Entropy = system,
    ) -> Self:
        """Make a wallet in a directory: from words, from descriptors, or with 12 new words.

        The caller shows its owner `mnemonic` once, to write down. `descriptors` are one for
        payments and one for change, with private keys; `kind` (P2WPKH, P2TR, P2PKH, or P2SH for
        P2SH-P2WPKH) then does not matter. With a `passphrase` its words and keys are encrypted on
        the disk; what comes back is unlocked. Testnet is testnet 4. Raises `ConfigurationError`
        when a wallet is there already or an argument is wrong, `UsageError` for a passphrase that
        is too short.
        """
        ChainServer.of(server)
        if descriptors is None:
            words = new_mnemonic(entropy) if mnemonic is None else mnemonic
            secret = secret_from_mnemonic(words, network, kind)
        elif mnemonic is None:
            secret = secret_from_descriptors(*descriptors, network)
        else:
            raise ConfigurationError("A wallet comes from words or from descriptors; give one.")
        return cls.keep(directory, secret, passphrase, server=server, entropy=entropy)

    @classmethod
    def keep(
        cls,
        directory: Path,
        secret: Secret,
        passphrase: str | None,
        *,
        server: ChainServer | str,
        entropy: Entropy = system,
    ) -> Self:
        """As `create`, from a secret that is there already, such as a backup's."""
        stored: Secret | Locked = secret
        if passphrase is not None:
            stored = locked(secret, public(secret), passphrase, entropy=entropy)
        write_secret(directory, stored)
        made = cls(directory, secret, server=server)
        made._stored = stored
        return made

    @classmethod
    def open(
        cls, directory: Path, *, server: ChainServer | str, network: Network | None = None
    ) -> Self:
        """Open the wallet of a directory, which must be on `network` if that is given.

        One with a passphrase comes back locked: it looks, and signs nothing before `unlock`.
        Raises `ConfigurationError` without a wallet there, `WalletError` when it is damaged.
        """
        secret = read_secret(directory)
        if network not in (None, secret.network):
            raise ConfigurationError(
                f"The wallet is on {secret.network}, not on {network}; choose another directory "
                "or network."
            )
        return cls(directory, secret, server=server)

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether a directory holds a wallet."""
        return has_wallet(directory)

    @property
    def network(self) -> Network:
        """The network its addresses belong to."""
        return self._secret.network

    @property
    def kind(self) -> ScriptType:
        """Its script type; P2SH stands for P2SH-P2WPKH."""
        return ScriptType[self._secret.kind]

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase encrypts its words and keys on the disk."""
        return isinstance(self._stored, Locked)

    @property
    def locked(self) -> bool:
        """Whether it cannot sign before `unlock`."""
        return isinstance(self._secret, Locked)

    def unlock(self, passphrase: str) -> None:
        """Let this object sign from here on; takes half a second. Raises `WrongPassphrase`.

        Its keys then stay in this process's memory. A wallet that is not locked asks nothing.
        """
        if not isinstance(self._secret, Locked):
            return
        secret = self._secret.unlocked(passphrase)
        with self._lock:
            self._secret, self._descriptors = secret, descriptors(secret)
            with self._changing():
                pass

    def change_passphrase(self, passphrase: str | None) -> None:
        """Encrypt words and keys with another passphrase, or keep them open with None.

        The wallet must be unlocked. `wallet.json` is replaced at once or not at all. Raises
        `WalletLocked`, `WalletError`, and `UsageError` for a passphrase that is too short.
        """
        secret = self.secret()
        stored = secret if passphrase is None else locked(secret, public(secret), passphrase)
        replace_secret(self._directory, self._stored, stored)
        self._stored = stored

    def secret(self) -> Secret:
        """Its words and keys, for the owner's eyes only. Raises `WalletLocked`."""
        if isinstance(self._secret, Locked):
            raise WalletLocked("The wallet is locked: unlock it with its passphrase.")
        return self._secret

    def mnemonic(self) -> str | None:
        """The words to write down, for the owner's eyes only; None for imported descriptors.

        Raises `WalletLocked`.
        """
        return self.secret().mnemonic

    def begin_sync(self) -> None:
        """Ask the chain server now, in a thread; the next `sync` takes its answer."""
        with self._sync_lock:
            self._begun = begun(self._server, self._question())

    def sync(self) -> None:
        """Learn what the chain did to its coins; at first from all addresses it may have used.

        Raises `ChainError`, and then knows what it knew before.
        """
        with self._sync_lock:
            # The server is asked without the lock, so that the wallet can be used meanwhile.
            update = self._fetch()
            with self._changing() as core:
                try:
                    core.apply_update(update)
                except CONNECT_ERRORS as error:
                    raise ChainError(
                        "The chain server's blocks do not continue the known ones; sync again."
                    ) from error

    def balance(self) -> Balance:
        """What it holds, as of the last `sync`.

        Confirmed is what it can spend; unconfirmed is the rest, immature coins included.
        """
        with self._reading() as core:
            known = core.balance()
            return Balance(
                confirmed=Sats(known.confirmed.to_sat()),
                unconfirmed=Sats(known.total.to_sat() - known.confirmed.to_sat()),
            )

    def new_address(self) -> Address:
        """A receiving address that it gave to nobody before, durably taken."""
        with self._changing() as core:
            return self._reveal(core, KeychainKind.EXTERNAL)

    def revealed(self) -> tuple[int, int]:
        """The last index given of its addresses for payments and for change; -1 for none."""
        with self._reading() as core:
            external, internal = (core.derivation_index(each) for each in _KEYCHAINS)
            return -1 if external is None else external, -1 if internal is None else internal

    def reveal_to(self, revealed: tuple[int, int]) -> None:
        """Give none of the addresses up to these indices any more, and look for payments there."""
        with self._changing() as core:
            for keychain, index in zip(_KEYCHAINS, revealed, strict=True):
                if index >= 0:
                    core.reveal_addresses_to(keychain, index)

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Those of `scripts` that it can spend."""
        with self._reading() as core:
            return frozenset(script for script in scripts if is_ours(core, script))

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Those of `outpoints` that pay it, spent or not, by its own knowledge of the chain."""
        with self._reading() as core:
            return frozenset(each for each in outpoints if our_output(core, each) is not None)

    def coins(self) -> tuple[Coin, ...]:
        """Its confirmed, mature and unspent coins, with what a PSBT input needs to sign them."""
        with self._reading() as core:
            return with_signing_data(core, usable(core))

    def transactions(self) -> tuple[WalletTransaction, ...]:
        """What pays it or spends from it, the newest first; unconfirmed ones come first."""
        with self._reading() as core:
            return transactions(core)

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Nothing: only sessions spend from this wallet, and `pay` is told what they hold."""

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        """A signed and finalized PSBT that pays `amount` to `script`: an Original PSBT.

        It spends confirmed coins only, as a fallback on a parent that may be replaced would be no
        sure payment, and none of `unspendable`. It signals replaceability (BIP 125), tells no key
        paths, and is not broadcast. Raises `InsufficientFunds`, and `WalletError` for dust and for
        absurd fee rates.
        """
        self._require_ready(fee_rate)
        with self._changing() as core:
            change = self._reveal(core, KeychainKind.INTERNAL).script_pubkey
            return payment(core, script, amount, change, fee_rate, unspendable)

    def pay_all(
        self, script: Script, *, fee_rate: FeeRate, unspendable: Collection[OutPoint] = ()
    ) -> Psbt:
        """As `pay`, from all confirmed coins but `unspendable`, into one output without change.

        A coin that costs more than it brings at `fee_rate` stays. Raises as `pay` does.
        """
        self._require_ready(fee_rate)
        with self._changing() as core:
            return payment_of_all(core, script, fee_rate, unspendable)

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """Sign and finalize those of `inputs` that are its own, with sighash ALL or DEFAULT.

        All other inputs come back as they were. Raises `WalletError` when none is its own, when it
        does not know a coin of its own yet, and when one asks for another sighash type.
        """
        self.secret()
        with self._reading() as core:
            return sign_ours(core, psbt, inputs)

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        """A signed transaction that spends one of its coins back to itself, not broadcast.

        It pays `fee_rate`, or more where the transaction it replaces demands more (BIP 125, rules
        3 and 4, as of the last `sync`). Raises `InsufficientFunds` when the coin cannot pay that,
        `WalletError` when it is not the wallet's.
        """
        self.secret()
        with self._changing() as core:
            target = self._reveal(core, KeychainKind.INTERNAL)
            unsigned = revocation(core, outpoint, target.script_pubkey, fee_rate)
            return sign_ours(core, unsigned, [outpoint]).extract()

    def _require_ready(self, fee_rate: FeeRate) -> None:
        if fee_rate > _MAX_FEE_RATE:
            raise WalletError("The fee rate is far too high; choose a lower one.")
        self.secret()

    def _reveal(self, core: BdkCore, keychain: KeychainKind) -> Address:
        script = core.reveal_next_address(keychain).address.script_pubkey().to_bytes()
        return Address.from_script(bytes(script), self.network)

    def _fetch(self) -> Update:
        answer, self._begun = self._begun, None
        return fetch_update(self._server, self._question()) if answer is None else answer.result()

    def _question(self) -> Question:
        with self._reading() as core:
            return Question.of(core, self.network)

    @contextmanager
    def _reading(self) -> Generator[BdkCore]:
        """The wallet with all that other processes have stored."""
        with self._lock:
            if change_counter(self._directory) != self._seen:
                with self._changing():
                    pass
            yield self._core

    @contextmanager
    def _changing(self) -> Generator[BdkCore]:
        """The wallet as it is stored; what it learns is durable after the block, or forgotten."""
        with self._lock, exclusive(self._directory):
            with storing():
                persister = Persister.new_sqlite(str(data_path(self._directory)))
                core = self._load(persister)
            yield core
            with storing():
                core.persist(persister)
            self._core = core
            self._seen = change_counter(self._directory)

    def _load(self, persister: Persister) -> BdkCore:
        external, internal = self._descriptors
        try:
            return BdkCore.load(external, internal, persister)
        except NOTHING_STORED:
            # Its data were never written, or were deleted: the chain still tells most of them.
            return BdkCore(external, internal, BDK_NETWORKS[self.network], persister)
