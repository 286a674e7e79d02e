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
from dovetail.wallets.bdk.sync import Question, fetch_update, start_fetch
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

# Above this rate BDK's sums can overflow silently, and the payment would have no fee.
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
        self._pending_update: Future[Update] | None = None
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
        """Create a wallet in a directory: from words, from descriptors, or with 12 new words.

        Show `mnemonic` to the owner once, to write it down. `descriptors` are one for payments and
        one for change, with private keys; `kind` (P2WPKH, P2TR, P2PKH, or P2SH for P2SH-P2WPKH) is
        then ignored. With a `passphrase` words and keys are encrypted on the disk; the returned
        wallet is unlocked. Testnet is testnet 4. Raises `ConfigurationError` if the directory has
        a wallet or an argument is wrong, and `UsageError` for a passphrase that is too short.
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
        """Create a wallet from an existing secret, such as a backup's."""
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
        """Open the wallet of a directory; it must be on `network` if that is given.

        A wallet with a passphrase is locked: it can sync, but cannot sign before `unlock`. Raises
        `ConfigurationError` if there is no wallet, and `WalletError` if it is damaged.
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
        """Its script type; P2SH means P2SH-P2WPKH."""
        return ScriptType[self._secret.kind]

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase encrypts its words and keys on the disk."""
        return isinstance(self._stored, Locked)

    @property
    def locked(self) -> bool:
        """Whether it needs `unlock` before it can sign."""
        return isinstance(self._secret, Locked)

    def unlock(self, passphrase: str) -> None:
        """Decrypt the keys, in about half a second. Raises `WrongPassphrase`.

        The keys then stay in this process's memory. An unlocked wallet ignores the call.
        """
        if not isinstance(self._secret, Locked):
            return
        secret = self._secret.unlocked(passphrase)
        with self._lock:
            self._secret, self._descriptors = secret, descriptors(secret)
            with self._changing():
                pass

    def change_passphrase(self, passphrase: str | None) -> None:
        """Encrypt words and keys with another passphrase, or store them unencrypted with None.

        The wallet must be unlocked. `wallet.json` is replaced atomically. Raises `WalletLocked`,
        `WalletError`, and `UsageError` for a passphrase that is too short.
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
        """Start asking the chain server in a thread; the next `sync` uses its answer."""
        with self._sync_lock:
            self._pending_update = start_fetch(self._server, self._question())

    def sync(self) -> None:
        """Update its coins from the chain server; the first sync scans all possible addresses.

        Raises `ChainError`; the wallet is then unchanged.
        """
        with self._sync_lock:
            # Ask the server without the lock, so that the wallet can be used meanwhile.
            update = self._fetch()
            with self._changing() as core:
                try:
                    core.apply_update(update)
                except CONNECT_ERRORS as error:
                    raise ChainError(
                        "The chain server's blocks do not continue the known ones; sync again."
                    ) from error

    def balance(self) -> Balance:
        """Its balance at the last `sync`.

        `confirmed` is spendable; `unconfirmed` is the rest, with immature coins.
        """
        with self._reading() as core:
            known = core.balance()
            return Balance(
                confirmed=Sats(known.confirmed.to_sat()),
                unconfirmed=Sats(known.total.to_sat() - known.confirmed.to_sat()),
            )

    def new_address(self) -> Address:
        """Return an unused receiving address; that it is given out is durable."""
        with self._changing() as core:
            return self._reveal(core, KeychainKind.EXTERNAL)

    def revealed(self) -> tuple[int, int]:
        """Return the last address index given out for payments and for change; -1 for none."""
        with self._reading() as core:
            external, internal = (core.derivation_index(each) for each in _KEYCHAINS)
            return -1 if external is None else external, -1 if internal is None else internal

    def reveal_to(self, revealed: tuple[int, int]) -> None:
        """Mark the addresses up to these indices as given out, and watch them for payments."""
        with self._changing() as core:
            for keychain, index in zip(_KEYCHAINS, revealed, strict=True):
                if index >= 0:
                    core.reveal_addresses_to(keychain, index)

    def owned(self, scripts: Collection[Script]) -> frozenset[Script]:
        """Return those of `scripts` that it can spend."""
        with self._reading() as core:
            return frozenset(script for script in scripts if is_ours(core, script))

    def owned_coins(self, outpoints: Collection[OutPoint]) -> frozenset[OutPoint]:
        """Return those of `outpoints` that pay it, spent or not, as far as it knows the chain."""
        with self._reading() as core:
            return frozenset(each for each in outpoints if our_output(core, each) is not None)

    def coins(self) -> tuple[Coin, ...]:
        """Return its confirmed, mature and unspent coins, with the PSBT fields for signing."""
        with self._reading() as core:
            return with_signing_data(core, usable(core))

    def transactions(self) -> tuple[WalletTransaction, ...]:
        """Return transactions that pay it or spend from it, unconfirmed and newest first."""
        with self._reading() as core:
            return transactions(core)

    def hold(self, reserved: Callable[[], Collection[OutPoint]]) -> None:
        """Do nothing: only sessions spend from this wallet, and `pay` gets their coins."""

    def pay(
        self,
        script: Script,
        amount: Sats,
        *,
        fee_rate: FeeRate,
        unspendable: Collection[OutPoint] = (),
    ) -> Psbt:
        """Return a signed and finalized PSBT that pays `amount` to `script`: an Original PSBT.

        It spends only confirmed coins, because a parent of the fallback transaction could be
        replaced, and none of `unspendable`. It signals replaceability (BIP 125), contains no key
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
        """Pay all confirmed coins except `unspendable` to one output, without change.

        Coins that cost more than their value at `fee_rate` stay. Raises the errors of `pay`.
        """
        self._require_ready(fee_rate)
        with self._changing() as core:
            return payment_of_all(core, script, fee_rate, unspendable)

    def sign(self, psbt: Psbt, *, inputs: Collection[OutPoint]) -> Psbt:
        """Sign and finalize those of `inputs` that it owns, with sighash ALL or DEFAULT.

        All other inputs stay unchanged. Raises `WalletError` when it owns none of them, when it
        does not know one of its own coins yet, and when an input asks for another sighash type.
        """
        self.secret()
        with self._reading() as core:
            return sign_ours(core, psbt, inputs)

    def revoke(self, outpoint: OutPoint, *, fee_rate: FeeRate) -> Transaction:
        """Return a signed transaction that spends one of its coins back to itself; not broadcast.

        It pays `fee_rate`, or more if the transaction that it replaces requires more (BIP 125,
        rules 3 and 4, as of the last `sync`). Raises `InsufficientFunds` if the coin cannot pay
        that, and `WalletError` if it is not the wallet's coin.
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
        answer, self._pending_update = self._pending_update, None
        return fetch_update(self._server, self._question()) if answer is None else answer.result()

    def _question(self) -> Question:
        with self._reading() as core:
            return Question.of(core, self.network)

    @contextmanager
    def _reading(self) -> Generator[BdkCore]:
        """Yield the wallet with the changes that other processes have stored."""
        with self._lock:
            if change_counter(self._directory) != self._seen:
                with self._changing():
                    pass
            yield self._core

    @contextmanager
    def _changing(self) -> Generator[BdkCore]:
        """Yield the stored wallet; changes are durable after the block, and lost if it raises."""
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
            # Its data were never written or were deleted; a sync restores most of them.
            return BdkCore(external, internal, BDK_NETWORKS[self.network], persister)
