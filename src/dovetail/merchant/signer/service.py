"""The signer's decisions: each request is checked, recorded and only then answered."""

import logging
from collections.abc import Collection, Iterable

from dovetail.bitcoin import OutPoint, Psbt, Script, Transaction
from dovetail.errors import DovetailError, InfrastructureError, StoreUnavailable
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.keys import Keys
from dovetail.merchant.signer.log import SIGNED_OTHERWISE, SignerLog
from dovetail.merchant.signer.messages import OwnInput, OwnOutput
from dovetail.merchant.signer.policy import (
    Limits,
    Payout,
    Proposal,
    SignerRefused,
    check_payment,
    check_proposal,
    check_replacement,
    check_sweep,
)
from dovetail.wallets.signing import their_output

logger = logging.getLogger(__name__)

OLDER_LOG = (
    "The signer's log is older than the shop's database, so that it may have signed what it does"
    " not know: stop it and put its newest log back, or start it once so that it accepts the older"
    " one."
)
_SIGNING = (messages.Open, messages.Sign, messages.Sweep, messages.Queue, messages.Queued)


class SignerService:
    """Answers requests; threads may share it."""

    def __init__(
        self, keys: Keys, log: SignerLog, limits: Limits, *, accepts_older: bool = False
    ) -> None:
        """Sign with these keys, within these limits.

        With `accepts_older` a log that is older than the shop's database is used after all:
        payjoins under way are given up, and what they were to bring is paid ordinarily.
        """
        self._keys = keys
        self._log = log
        self._limits = limits
        self._accepts_older = accepts_older
        self._is_older = False

    def answer(self, request: messages.Request) -> messages.Answer:
        """Answer a request; what is refused or fails is an answer too."""
        try:
            return self._answer(request)
        except SignerRefused as error:
            return messages.Refusal(why=str(error))
        except (InfrastructureError, StoreUnavailable) as error:
            return messages.Failure(why=str(error))
        except DovetailError as error:
            return messages.Refusal(why=f"The request cannot be read: {error}")

    def _answer(self, request: messages.Request) -> messages.Answer:
        if self._is_older and isinstance(request, _SIGNING):
            raise SignerRefused(OLDER_LOG)
        match request:
            case messages.Hello() | messages.Holders() | messages.Recall():
                return self._known(request)
            case messages.Open(session=session, demand=demand):
                self._log.open_session(session, demand)
                return messages.Done()
            case messages.Sign():
                return self._sign(request)
            case messages.Sweep():
                return self._sweep(request)
            case messages.Release(session=session):
                self._log.release(session)
                return messages.Done()
            case messages.Queue():
                return self._queue(request)
            case messages.Queued(id=payment):
                return self._queued(payment)
            case messages.Withdraw(id=payment):
                self._log.withdraw(payment)
                return messages.Done()

    def _known(
        self, request: messages.Hello | messages.Holders | messages.Recall
    ) -> messages.Answer:
        """Answer what it knows; nothing is decided."""
        match request:
            case messages.Hello():
                return messages.Wallet(
                    protocol=messages.PROTOCOL,
                    network=self._keys.network.value,
                    hot=self._keys.hot,
                    cold=self._keys.cold,
                )
            case messages.Holders(coins=coins):
                return messages.Held(coins=self._log.holders(coins))
            case messages.Recall():
                return self._recall(request)

    def _recall(self, request: messages.Recall) -> messages.Answer:
        """Compare the log with what the shop knows; an older one signs nothing from now on."""
        is_ours = request.hot == self._keys.hot
        if not is_ours or not self._log.unknown(request.sessions, request.payments):
            return messages.Done()
        if not self._accepts_older:
            self._is_older = True
            raise SignerRefused(OLDER_LOG)
        self._log.give_up(request.sessions, request.payments)
        logger.warning("The log was older than the shop's database, and is accepted")
        return messages.Done()

    def _sign(self, request: messages.Sign) -> messages.Answer:
        """Sign a payjoin; one that was signed before is answered as it was."""
        psbt, purpose = Psbt.parse(request.psbt), f"session {request.session}"
        if (known := self._signed(psbt, purpose)) is not None:
            return known
        demand = self._log.demand(request.session)
        indexes = _indexes(request.inputs)
        proposal = Proposal(
            psbt=psbt,
            own_inputs=self._scripts(indexes),
            own_scripts=self._outputs(psbt, request.outputs)
            | {self._keys.script(Keychain.HOT, request.fallback_index)},
            fallback=Transaction.parse(request.fallback),
            unnamed=self._unnamed(psbt, indexes),
        )
        check_proposal(proposal, demand=demand, limits=self._limits)
        self._log.reserve(request.session, [str(coin) for coin in indexes])
        return self._signature(psbt, indexes, purpose)

    def _sweep(self, request: messages.Sweep) -> messages.Answer:
        psbt, indexes = Psbt.parse(request.psbt), _indexes(request.inputs)
        purpose = f"sweep {psbt.unsigned_transaction.txid}"
        if (known := self._signed(psbt, purpose)) is not None:
            return known
        self._require_free(indexes)
        cold = {self._keys.script(Keychain.COLD, each.index) for each in request.outputs}
        check_sweep(psbt, self._scripts(indexes), cold, self._limits)
        return self._signature(psbt, indexes, purpose)

    def _queue(self, request: messages.Queue) -> messages.Answer:
        """Keep a payment for the owner, who sees what the signer has read in it."""
        psbt = Psbt.parse(request.psbt)
        payout = check_payment(
            psbt,
            self._scripts(_indexes(request.inputs)),
            self._outputs(psbt, request.outputs),
            self._limits,
        )
        if request.replaces is not None:
            check_replacement(self._approved(request.replaces), (psbt, payout))
        approved = request.replaces is not None
        self._log.queue(request.id, messages.encode(request), payout, approved=approved)
        return messages.Done()

    def _approved(self, payment: str) -> tuple[Psbt, Payout]:
        """A payment that the owner has approved, as the signer reads it."""
        known = self._log.queued(payment)
        if known is None or not known[1]:
            raise SignerRefused("The payment to replace was not approved: wait for the owner.")
        request = messages.requests.decode(known[0])
        if not isinstance(request, messages.Queue):
            raise SignerRefused("The payment cannot be read.")
        psbt = Psbt.parse(request.psbt)
        scripts, own = self._scripts(_indexes(request.inputs)), self._outputs(psbt, request.outputs)
        return psbt, check_payment(psbt, scripts, own, self._limits)

    def _queued(self, payment: str) -> messages.Answer:
        """Sign a payment that the owner has approved."""
        known = self._log.queued(payment)
        if known is None:
            raise SignerRefused("The signer knows no such payment: queue it first.")
        if not known[1]:
            return messages.Waiting()
        request = messages.requests.decode(known[0])
        if not isinstance(request, messages.Queue):
            raise SignerRefused("The payment cannot be read.")
        psbt, indexes = Psbt.parse(request.psbt), _indexes(request.inputs)
        purpose = f"payment {payment}"
        if (signed := self._signed(psbt, purpose)) is not None:
            return signed
        self._require_free(indexes)
        return self._signature(psbt, indexes, purpose)

    def _signed(self, psbt: Psbt, purpose: str) -> messages.Signed | None:
        """The answer that was given for a purpose before; raises `SignerRefused` for another."""
        known = self._log.signed(purpose)
        if known is None:
            return None
        if known[0] != str(psbt.unsigned_transaction.txid):
            raise SignerRefused(SIGNED_OTHERWISE)
        return messages.Signed(psbt=known[1])

    def _signature(self, psbt: Psbt, indexes: dict[OutPoint, int], purpose: str) -> messages.Signed:
        """Sign what was checked; the answer is durable before it is given, and stays the same."""
        signed = self._keys.sign(psbt, indexes).serialize()
        txid = str(psbt.unsigned_transaction.txid)
        return messages.Signed(psbt=self._log.record(purpose, txid, signed))

    def _unnamed(self, psbt: Psbt, named: Collection[OutPoint]) -> frozenset[OutPoint]:
        """The wallet's coins among the inputs that are not to be signed, as far as it knows them.

        Their scripts are the server's word here. A coin that is hidden stays unsigned: signing it
        too would be a second signature of this transaction.
        """
        others = {
            outpoint: index
            for index, outpoint in enumerate(psbt.unsigned_transaction.contested())
            if outpoint not in named
        }
        known = self._log.holders([str(each) for each in others])
        return frozenset(
            outpoint
            for outpoint, index in others.items()
            if str(outpoint) in known or self._keys.owns(their_output(psbt, index).script_pubkey)
        )

    def _require_free(self, coins: Iterable[OutPoint]) -> None:
        if self._log.holders([str(coin) for coin in coins]):
            raise SignerRefused("A coin is reserved for a session: release that first.")

    def _scripts(self, indexes: dict[OutPoint, int]) -> dict[OutPoint, Script]:
        return {coin: self._keys.script(Keychain.HOT, index) for coin, index in indexes.items()}

    def _outputs(self, psbt: Psbt, claimed: Iterable[OwnOutput]) -> set[Script]:
        """The wallet's scripts among the outputs; each is derived here, and must be there."""
        outputs = psbt.unsigned_transaction.outputs
        found: set[Script] = set()
        for each in claimed:
            script = self._keys.script(each.keychain, each.index)
            if each.vout >= len(outputs) or outputs[each.vout].script_pubkey != script:
                raise SignerRefused("An output is not of the wallet's key that it names.")
            found.add(script)
        return found


def _indexes(inputs: Iterable[OwnInput]) -> dict[OutPoint, int]:
    return {OutPoint.parse(each.coin): each.index for each in inputs}
