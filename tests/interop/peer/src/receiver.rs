//! The receiver over a directory: `receive`, `poll`, `polled`, `check`, `propose`, `post`,
//! `posted`, `reply`, `replied`, `settle`, `cancel`.

use std::error::Error;
use std::fmt::Debug;
use std::mem::replace;
use std::str::FromStr;
use std::time::Duration;

use payjoin::bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use payjoin::bitcoin::{Amount, OutPoint, Transaction, TxOut};
use payjoin::persist::{
    InMemoryPersister, OptionalTransitionOutcome, PersistedError, SessionPersister,
};
use payjoin::receive::v2::{
    HasReplyableError, Initialized, Monitor, PayjoinProposal, PendingFallback, Receiver,
    ReceiverBuilder, SessionEvent, UncheckedOriginalPayload, WantsOutputs,
};
use payjoin::{OhttpKeys, OhttpResponse};
use serde_json::{Value, json};

use crate::Party;
use crate::order::{Answer, Fault, Order, to_send};
use crate::wallet::Wallet;

enum State {
    Initialized(Receiver<Initialized>),
    Unchecked(Receiver<UncheckedOriginalPayload>),
    WantsOutputs(Receiver<WantsOutputs>),
    Proposal(Receiver<PayjoinProposal>),
    Error(Receiver<HasReplyableError>),
    Monitor(Receiver<Monitor>),
    Pending(Receiver<PendingFallback>),
    Closed,
}

struct Charging {
    log: InMemoryPersister<SessionEvent>,
    state: State,
    context: Option<OhttpResponse>,
}

pub fn begin(order: &Order, wallet: &mut Wallet) -> Result<(Box<dyn Party>, Value), Fault> {
    let address = wallet.fresh(order.text("kind")?.parse()?)?;
    let keys = OhttpKeys::decode(&order.hex("ohttp_keys")?)?;
    let mut builder = ReceiverBuilder::new(address, order.text("directory")?, keys)?;
    if let Some(sats) = order.maybe_number("amount") {
        builder = builder.with_amount(Amount::from_sat(sats));
    }
    if let Some(seconds) = order.maybe_number("lifetime") {
        builder = builder.with_expiration(Duration::from_secs(seconds));
    }
    if let Some(rate) = order.fee_rate("max_fee_rate") {
        builder = builder.with_max_fee_rate(rate);
    }
    let log = InMemoryPersister::default();
    let receiver = builder.build().save(&log)?;
    let told = json!({ "uri": receiver.pj_uri().to_string() });
    Ok((
        Box::new(Charging {
            log,
            state: State::Initialized(receiver),
            context: None,
        }),
        told,
    ))
}

impl Party for Charging {
    fn act(&mut self, order: &Order, wallet: &Wallet) -> Answer {
        match (order.verb()?, replace(&mut self.state, State::Closed)) {
            ("poll", State::Initialized(receiver)) => {
                let asked = receiver.create_poll_request(order.text("relay")?);
                self.state = State::Initialized(receiver);
                let (request, context) = asked?;
                self.context = Some(context);
                Ok(to_send(&request))
            }
            ("polled", State::Initialized(receiver)) => self.polled(order, receiver),
            ("check", State::Unchecked(receiver)) => self.check(order, receiver, wallet),
            ("propose", State::WantsOutputs(receiver)) => self.propose(order, receiver, wallet),
            ("post", State::Proposal(receiver)) => {
                let (request, context) = receiver.create_post_request(order.text("relay")?)?;
                self.context = Some(context);
                self.state = State::Proposal(receiver);
                Ok(to_send(&request))
            }
            ("posted", State::Proposal(receiver)) => self.posted(order, receiver),
            ("reply", State::Error(receiver)) => {
                let (request, context) = receiver.create_error_request(order.text("relay")?)?;
                self.context = Some(context);
                self.state = State::Error(receiver);
                Ok(to_send(&request))
            }
            ("replied", State::Error(receiver)) => {
                let context = self.context.take().ok_or("reply first")?;
                let done = receiver
                    .process_error_response(&order.body()?, context)
                    .save(&self.log)
                    .map_err(|error| error.to_string())?;
                Ok(self.after(done))
            }
            ("settle", State::Monitor(receiver)) => self.settle(order, receiver),
            ("cancel", State::Initialized(receiver)) => {
                receiver.cancel().save(&self.log)?;
                Ok(self.after(None))
            }
            ("cancel", State::Unchecked(receiver)) => {
                receiver.cancel().save(&self.log)?;
                Ok(self.after(None))
            }
            ("cancel", State::WantsOutputs(receiver)) => {
                let pending = receiver.cancel().save(&self.log)?;
                Ok(self.after(Some(pending)))
            }
            ("cancel", State::Monitor(receiver)) => {
                let pending = receiver.cancel().save(&self.log)?;
                Ok(self.after(Some(pending)))
            }
            ("cancel", State::Error(receiver)) => {
                let pending = receiver.cancel().save(&self.log)?;
                Ok(self.after(pending))
            }
            ("close", State::Pending(receiver)) => {
                receiver.close().save(&self.log)?;
                Ok(self.after(None))
            }
            (verb, state) => {
                self.state = state;
                Err(format!("a receiver cannot {verb} now").into())
            }
        }
    }

    fn log(&self) -> Result<Vec<Value>, Fault> {
        let events = self.log.load()?;
        Ok(events
            .map(serde_json::to_value)
            .collect::<Result<Vec<_>, _>>()?)
    }
}

impl Charging {
    fn polled(&mut self, order: &Order, receiver: Receiver<Initialized>) -> Answer {
        let context = self.context.take().ok_or("poll first")?;
        match receiver
            .process_response(&order.body()?, context)
            .save(&self.log)
        {
            Ok(OptionalTransitionOutcome::Stasis(receiver)) => {
                self.state = State::Initialized(receiver);
                Ok(json!({ "state": "Initialized" }))
            }
            Ok(OptionalTransitionOutcome::Progress(receiver)) => {
                let original = receiver.extract_tx_to_check_broadcast_suitability();
                self.state = State::Unchecked(receiver);
                Ok(json!({
                    "state": "UncheckedOriginalPayload",
                    "original": serialize_hex(&original),
                }))
            }
            Err(error) => {
                let told = error.to_string();
                if let Some(receiver) = error.transient_state() {
                    self.state = State::Initialized(receiver);
                }
                Err(told.into())
            }
        }
    }

    /// The receiver's checklist; `broadcastable` and the outpoints `seen` come from outside.
    fn check(
        &mut self,
        order: &Order,
        receiver: Receiver<UncheckedOriginalPayload>,
        wallet: &Wallet,
    ) -> Answer {
        let broadcastable = order.flag("broadcastable", true);
        let seen = order
            .texts("seen")
            .into_iter()
            .map(OutPoint::from_str)
            .collect::<Result<Vec<_>, _>>()?;
        let checked = receiver
            .check_broadcast_suitability(order.fee_rate("min_fee_rate"), |_| Ok(broadcastable))
            .save(&self.log)
            .map_err(rejected)
            .and_then(|receiver| {
                receiver
                    .check_inputs_not_owned(&mut |outpoint| Ok(wallet.owns_coin(outpoint)))
                    .save(&self.log)
                    .map_err(rejected)
            })
            .and_then(|receiver| {
                receiver
                    .check_no_inputs_seen_before(&mut |outpoint| Ok(seen.contains(outpoint)))
                    .save(&self.log)
                    .map_err(rejected)
            })
            .and_then(|receiver| {
                receiver
                    .identify_receiver_outputs(&mut |script| Ok(wallet.owns(script)))
                    .save(&self.log)
                    .map_err(rejected)
            });
        match checked {
            Ok(receiver) => {
                let substitution = format!("{:?}", receiver.output_substitution());
                self.state = State::WantsOutputs(receiver);
                Ok(json!({ "state": "WantsOutputs", "substitution": substitution }))
            }
            Err((Some(receiver), why)) => {
                self.state = State::Error(receiver);
                Ok(json!({ "state": "HasReplyableError", "refused": why }))
            }
            Err((None, why)) => Err(why.into()),
        }
    }

    /// Make and sign the proposal: `coins` inputs of ours, outputs as `substitute` or `replace`
    /// say. `sign` and `utxos` off leave out what a proposal must have.
    fn propose(
        &mut self,
        order: &Order,
        mut receiver: Receiver<WantsOutputs>,
        wallet: &Wallet,
    ) -> Answer {
        if let Some(script) = order.script("substitute")? {
            receiver = receiver.substitute_receiver_script(&script)?;
        }
        let replacements: Vec<TxOut> = order
            .payments("replace")?
            .into_iter()
            .map(|(sats, address)| TxOut {
                value: Amount::from_sat(sats),
                script_pubkey: address.script_pubkey(),
            })
            .collect();
        if let Some(drain) = replacements
            .first()
            .map(|output| output.script_pubkey.clone())
        {
            receiver = receiver.replace_receiver_outputs(replacements, &drain)?;
        }
        let mut inputs = receiver.commit_outputs().save(&self.log)?;
        let count = usize::try_from(order.maybe_number("coins").unwrap_or(1))?;
        inputs = inputs.contribute_inputs(wallet.contributions(count)?)?;
        let provisional = inputs
            .commit_inputs()
            .save(&self.log)?
            .apply_fee_range(
                order.fee_rate("min_fee_rate"),
                order.fee_rate("max_fee_rate"),
            )
            .save(&self.log)
            .map_err(|error| error.to_string())?;
        let mut signed = provisional.psbt_to_sign();
        if order.flag("sign", true) {
            signed = wallet.sign(&signed)?;
        }
        if !order.flag("utxos", true) {
            for input in &mut signed.inputs {
                input.witness_utxo = None;
                input.non_witness_utxo = None;
            }
        }
        let receiver = provisional
            .finalize_signed_proposal(&signed)
            .save(&self.log)
            .map_err(|error| error.to_string())?;
        let proposal = receiver.psbt().to_string();
        self.state = State::Proposal(receiver);
        Ok(json!({ "state": "PayjoinProposal", "proposal": proposal }))
    }

    fn posted(&mut self, order: &Order, receiver: Receiver<PayjoinProposal>) -> Answer {
        let context = self.context.take().ok_or("post first")?;
        match receiver
            .process_response(&order.body()?, context)
            .save(&self.log)
        {
            Ok(receiver) => {
                self.state = State::Monitor(receiver);
                Ok(json!({ "state": "Monitor" }))
            }
            Err(error) => Err(error.to_string().into()),
        }
    }

    /// Look for the payjoin or the fallback among `transactions`.
    fn settle(&mut self, order: &Order, receiver: Receiver<Monitor>) -> Answer {
        let known = order
            .texts("transactions")
            .into_iter()
            .map(deserialize_hex)
            .collect::<Result<Vec<Transaction>, _>>()?;
        let found = receiver
            .check_for_transaction(|txid| {
                Ok(known
                    .iter()
                    .find(|each| each.compute_txid() == txid)
                    .cloned())
            })
            .save(&self.log)
            .map_err(|error| error.to_string())?;
        match found {
            OptionalTransitionOutcome::Stasis(receiver) => {
                self.state = State::Monitor(receiver);
                Ok(json!({ "state": "Monitor" }))
            }
            OptionalTransitionOutcome::Progress(()) => Ok(self.after(None)),
        }
    }

    fn after(&mut self, pending: Option<Receiver<PendingFallback>>) -> Value {
        match pending {
            Some(receiver) => {
                let fallback = serialize_hex(receiver.fallback_tx());
                self.state = State::Pending(receiver);
                json!({ "state": "PendingFallback", "fallback": fallback })
            }
            None => {
                let Ok(events) = self.log.load();
                let outcome = events.last().and_then(|event| match event {
                    SessionEvent::Closed(outcome) => Some(format!("{outcome:?}")),
                    _ => None,
                });
                json!({ "state": "Closed", "outcome": outcome })
            }
        }
    }
}

type Rejected = (Option<Receiver<HasReplyableError>>, String);

fn rejected<E, S, C>(error: PersistedError<E, S, Receiver<HasReplyableError>, C>) -> Rejected
where
    E: Error,
    S: Error,
    C: Debug,
{
    let told = error.to_string();
    (error.fatal_state(), told)
}
