//! The sender: `send`, `post`, `posted`, `poll`, `polled`, `cancel`; `answered` in v1.

use std::mem::replace;

use payjoin::bitcoin::consensus::encode::serialize_hex;
use payjoin::bitcoin::{Amount, FeeRate, Psbt, Transaction};
use payjoin::persist::{InMemoryPersister, OptionalTransitionOutcome, SessionPersister};
use payjoin::send::v2::{
    PendingFallback, PollingForProposal, Sender, SenderBuilder, SessionEvent, WithReplyKey,
};
use payjoin::send::{ResponseError, v1};
use payjoin::{OhttpResponse, PjParam, PjUri, Uri};
use serde_json::{Value, json};

use crate::Party;
use crate::order::{Answer, Fault, Order, to_send};
use crate::wallet::Wallet;

enum State {
    WithReplyKey(Sender<WithReplyKey>),
    Polling(Sender<PollingForProposal>),
    Pending(Sender<PendingFallback>),
    V1(Box<v1::Sender>),
    V1Waiting(Box<v1::V1Context>),
    Closed,
}

struct Paying {
    log: InMemoryPersister<SessionEvent>,
    state: State,
    context: Option<OhttpResponse>,
}

/// Build and sign the Original PSBT for a URI. `version` 1 speaks BIP 78, even to a mailbox.
pub fn begin(order: &Order, wallet: &mut Wallet) -> Result<(Box<dyn Party>, Value), Fault> {
    let uri = Uri::try_from(order.text("uri")?)?
        .assume_checked()
        .check_pj_supported()
        .map_err(|_| "the URI offers no payjoin")?;
    let rate = order.fee_rate("fee_rate").unwrap_or(FeeRate::BROADCAST_MIN);
    let amount = order
        .maybe_number("amount")
        .or(uri.amount().map(Amount::to_sat));
    let mut payments = vec![(amount.ok_or("how much?")?, uri.address().clone())];
    payments.extend(order.payments("also")?);
    let change = order.maybe_text("change").map(str::parse).transpose()?;
    let original = wallet.pay(&payments, change, rate)?;
    let told = json!({
        "original": original.to_string(),
        "fallback": serialize_hex(&original.clone().extract_tx_unchecked_fee_rate()),
    });
    let log = InMemoryPersister::default();
    let state = if order.maybe_number("version") == Some(1) {
        State::V1(Box::new(build_v1(order, original, uri, rate)?))
    } else {
        State::WithReplyKey(build_v2(order, original, &uri, rate, &log)?)
    };
    Ok((
        Box::new(Paying {
            log,
            state,
            context: None,
        }),
        told,
    ))
}

fn build_v2(
    order: &Order,
    original: Psbt,
    uri: &PjUri,
    rate: FeeRate,
    log: &InMemoryPersister<SessionEvent>,
) -> Result<Sender<WithReplyKey>, Fault> {
    let PjParam::V2(param) = uri.extras().pj_param() else {
        return Err("the URI is of version 1".into());
    };
    let mut builder = SenderBuilder::from_parts(original, param, uri.address(), uri.amount());
    if !order.flag("substitution", true) {
        builder = builder.always_disable_output_substitution();
    }
    let built = match order.maybe_number("contribution") {
        Some(0) => builder.build_non_incentivizing(rate)?,
        Some(sats) => {
            builder.build_with_additional_fee(Amount::from_sat(sats), None, rate, false)?
        }
        None => builder.build_recommended(rate)?,
    };
    Ok(built.save(log)?)
}

fn build_v1(order: &Order, original: Psbt, uri: PjUri, rate: FeeRate) -> Result<v1::Sender, Fault> {
    let mut builder = v1::SenderBuilder::new(original, uri);
    if !order.flag("substitution", true) {
        builder = builder.always_disable_output_substitution();
    }
    Ok(match order.maybe_number("contribution") {
        Some(0) => builder.build_non_incentivizing(rate)?,
        Some(sats) => {
            builder.build_with_additional_fee(Amount::from_sat(sats), None, rate, false)?
        }
        None => builder.build_recommended(rate)?,
    })
}

impl Party for Paying {
    fn act(&mut self, order: &Order, wallet: &Wallet) -> Answer {
        match (order.verb()?, replace(&mut self.state, State::Closed)) {
            ("post", State::WithReplyKey(sender)) => {
                let (request, context) = sender.create_v2_post_request(order.text("relay")?)?;
                self.context = Some(context);
                self.state = State::WithReplyKey(sender);
                Ok(to_send(&request))
            }
            ("posted", State::WithReplyKey(sender)) => self.posted(order, sender),
            ("poll", State::Polling(sender)) => {
                let asked = sender.create_poll_request(order.text("relay")?);
                self.state = State::Polling(sender);
                let (request, context) = asked?;
                self.context = Some(context);
                Ok(to_send(&request))
            }
            ("polled", State::Polling(sender)) => self.polled(order, sender, wallet),
            ("cancel", State::WithReplyKey(sender)) => {
                self.pending(sender.cancel().save(&self.log)?)
            }
            ("cancel", State::Polling(sender)) => self.pending(sender.cancel().save(&self.log)?),
            ("close", State::Pending(sender)) => {
                sender.close().save(&self.log)?;
                Ok(json!({ "state": "Closed" }))
            }
            ("post", State::V1(sender)) => {
                let (request, context) = sender.create_v1_post_request();
                self.state = State::V1Waiting(Box::new(context));
                Ok(to_send(&request))
            }
            ("answered", State::V1Waiting(context)) => {
                proposal(context.process_response(&order.body()?), wallet)
            }
            (verb, state) => {
                self.state = state;
                Err(format!("a sender cannot {verb} now").into())
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

impl Paying {
    fn posted(&mut self, order: &Order, sender: Sender<WithReplyKey>) -> Answer {
        let context = self.context.take().ok_or("post first")?;
        match sender
            .process_response(&order.body()?, context)
            .save(&self.log)
        {
            Ok(sender) => {
                self.state = State::Polling(sender);
                Ok(json!({ "state": "PollingForProposal" }))
            }
            Err(error) => {
                let told = error.to_string();
                if let Some(sender) = error.transient_state() {
                    self.state = State::WithReplyKey(sender);
                }
                Err(told.into())
            }
        }
    }

    fn polled(
        &mut self,
        order: &Order,
        sender: Sender<PollingForProposal>,
        wallet: &Wallet,
    ) -> Answer {
        let context = self.context.take().ok_or("poll first")?;
        match sender
            .process_response(&order.body()?, context)
            .save(&self.log)
        {
            Ok(OptionalTransitionOutcome::Stasis(sender)) => {
                self.state = State::Polling(sender);
                Ok(json!({ "state": "PollingForProposal" }))
            }
            Ok(OptionalTransitionOutcome::Progress(psbt)) => proposal(Ok(psbt), wallet),
            Err(error) if error.is_transient() => {
                let told = error.to_string();
                self.state = error
                    .transient_state()
                    .map_or(State::Closed, State::Polling);
                Err(told.into())
            }
            Err(error) => match error.api_error() {
                Some(error) => proposal(Err(error), wallet),
                None => Err("the store failed".into()),
            },
        }
    }

    fn pending(&mut self, sender: Sender<PendingFallback>) -> Answer {
        let fallback = serialize_hex(sender.fallback_tx());
        self.state = State::Pending(sender);
        Ok(json!({ "state": "PendingFallback", "fallback": fallback }))
    }
}

/// A proposal that kept the rules, signed; or why there is none.
fn proposal(answer: Result<Psbt, ResponseError>, wallet: &Wallet) -> Answer {
    match answer {
        Ok(psbt) => {
            let signed: Transaction = wallet.sign(&psbt)?.extract_tx_unchecked_fee_rate();
            Ok(json!({
                "state": "Proposal",
                "proposal": psbt.to_string(),
                "payjoin": serialize_hex(&signed),
            }))
        }
        Err(ResponseError::WellKnown(error)) => {
            Ok(json!({ "state": "Closed", "code": error.code().to_string() }))
        }
        Err(error) => Ok(json!({ "state": "Closed", "refused": error.to_string() })),
    }
}
