"""The signer's decisions: each request is checked, recorded and only then answered."""

from collections.abc import Iterable

from dovetail.bitcoin import OutPoint, Psbt, Script, Transaction
from dovetail.errors import DovetailError, InfrastructureError, StoreUnavailable
from dovetail.merchant.keychains import Keychain
from dovetail.merchant.signer import messages
from dovetail.merchant.signer.keys import Keys
from dovetail.merchant.signer.log import SignerLog
from dovetail.merchant.signer.messages import OwnInput, OwnOutput
from dovetail.merchant.signer.policy import (
    Limits,
    Proposal,
    SignerRefused,
    check_proposal,
    check_sweep,
)


class SignerService:
    """Answers requests; threads may share it."""

    def __init__(self, keys: Keys, log: SignerLog, limits: Limits) -> None:
        """Sign with these keys, within these limits."""
        self._keys = keys
        self._log = log
        self._limits = limits

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
        match request:
            case messages.Hello():
                return messages.Wallet(
                    protocol=messages.PROTOCOL,
                    network=self._keys.network.value,
                    hot=self._keys.hot,
                    cold=self._keys.cold,
                )
            case messages.Open(session=session, demand=demand):
                self._log.open_session(session, demand)
                return messages.Done()
            case messages.Sign():
                return self._sign(request)
            case messages.Sweep():
                return self._sweep(request)
            case messages.Holders(coins=coins):
                return messages.Held(coins=self._log.holders(coins))
            case messages.Release(session=session):
                self._log.release(session)
                return messages.Done()
            case messages.Queue(id=payment):
                self._log.queue(payment, messages.encode(request))
                return messages.Done()
            case messages.Queued(id=payment):
                return self._queued(payment)

    def _sign(self, request: messages.Sign) -> messages.Answer:
        """Sign a payjoin; one that was signed before is answered as it was."""
        psbt = Psbt.parse(request.psbt)
        txid = str(psbt.unsigned_transaction.txid)
        known = self._log.signed(request.session)
        if known is not None and known[0] == txid:
            return messages.Signed(psbt=known[1])
        if known is not None:
            raise SignerRefused("Another transaction was signed for this session before.")
        indexes = _indexes(request.inputs)
        proposal = Proposal(
            psbt=psbt,
            own_inputs=self._scripts(indexes),
            own_scripts=self._outputs(psbt, request.outputs)
            | {self._keys.script(Keychain.HOT, request.fallback_index)},
            fallback=Transaction.parse(request.fallback),
        )
        demand = self._log.demand(request.session)
        check_proposal(proposal, demand=demand, limits=self._limits)
        self._log.reserve(request.session, [str(coin) for coin in indexes])
        if not {str(coin) for coin in indexes} <= self._log.reserved(request.session):
            raise SignerRefused("A coin is not reserved for this session.")
        signed = self._keys.sign(psbt, indexes).serialize()
        self._log.record(request.session, txid, signed)
        return messages.Signed(psbt=signed)

    def _sweep(self, request: messages.Sweep) -> messages.Answer:
        psbt, indexes = Psbt.parse(request.psbt), _indexes(request.inputs)
        self._require_free(indexes)
        cold = {self._keys.script(Keychain.COLD, each.index) for each in request.outputs}
        check_sweep(psbt, self._scripts(indexes), cold, self._limits)
        return messages.Signed(psbt=self._keys.sign(psbt, indexes).serialize())

    def _queued(self, payment: str) -> messages.Answer:
        known = self._log.queued(payment)
        if known is None:
            raise SignerRefused("The signer knows no such payment: queue it first.")
        if not known[1]:
            return messages.Waiting()
        request = messages.requests.decode(known[0])
        if not isinstance(request, messages.Queue):
            raise SignerRefused("The payment cannot be read.")
        psbt, indexes = Psbt.parse(request.psbt), _indexes(request.inputs)
        self._require_free(indexes)
        return messages.Signed(psbt=self._keys.sign(psbt, indexes).serialize())

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
