//! The receiver at an endpoint of its own (BIP 78): `receive_v1`, `request`.

use payjoin::OutputSubstitution;
use payjoin::bitcoin::Amount;
use payjoin::receive::v1::{Headers, PayjoinProposal, UncheckedOriginalPayload, build_v1_pj_uri};
use payjoin::receive::{Error, JsonReply};
use serde_json::{Value, json};

use crate::Party;
use crate::order::{Answer, Fault, Order, base64};
use crate::wallet::Wallet;

struct Serving;

/// The headers that a request came with.
struct Came<'a> {
    content_type: &'a str,
    length: String,
}

impl Headers for Came<'_> {
    fn get_header(&self, key: &str) -> Option<&str> {
        match key {
            "content-type" => Some(self.content_type),
            "content-length" => Some(&self.length),
            _ => None,
        }
    }
}

pub fn begin(order: &Order, wallet: &mut Wallet) -> Result<(Box<dyn Party>, Value), Fault> {
    let address = wallet.fresh(order.text("kind")?.parse()?)?;
    let substitution = match order.flag("substitution", true) {
        true => OutputSubstitution::Enabled,
        false => OutputSubstitution::Disabled,
    };
    let mut uri = build_v1_pj_uri(&address, order.text("endpoint")?, substitution)?;
    if let Some(sats) = order.maybe_number("amount") {
        uri.set_amount(Amount::from_sat(sats));
    }
    Ok((Box::new(Serving), json!({ "uri": uri.to_string() })))
}

impl Party for Serving {
    fn act(&mut self, order: &Order, wallet: &Wallet) -> Answer {
        if order.verb()? != "request" {
            return Err("a v1 receiver takes requests only".into());
        }
        let body = order.body()?;
        let came = Came {
            content_type: order.text("content_type")?,
            length: body.len().to_string(),
        };
        match serve(order, &body, came, wallet)? {
            Ok(proposal) => Ok(json!({
                "status": 200,
                "body": base64(proposal.psbt().to_string().as_bytes()),
            })),
            Err(error) => {
                let reply = JsonReply::from(&error);
                Ok(json!({
                    "status": reply.status_code(),
                    "body": base64(reply.to_json().to_string().as_bytes()),
                    "refused": error.to_string(),
                }))
            }
        }
    }
}

fn serve(
    order: &Order,
    body: &[u8],
    came: Came<'_>,
    wallet: &Wallet,
) -> Result<Result<PayjoinProposal, Error>, Fault> {
    let query = order.maybe_text("query").unwrap_or_default();
    let broadcastable = order.flag("broadcastable", true);
    let checked = UncheckedOriginalPayload::from_request(body, query, came)
        .and_then(|payload| {
            payload
                .check_broadcast_suitability(order.fee_rate("min_fee_rate"), |_| Ok(broadcastable))
        })
        .and_then(|payload| {
            payload.check_inputs_not_owned(&mut |outpoint| Ok(wallet.owns_coin(outpoint)))
        })
        .and_then(|payload| payload.check_no_inputs_seen_before(&mut |_| Ok(false)))
        .and_then(|payload| {
            payload.identify_receiver_outputs(&mut |script| Ok(wallet.owns(script)))
        });
    let mut outputs = match checked {
        Ok(outputs) => outputs,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(script) = order.script("substitute")? {
        outputs = outputs.substitute_receiver_script(&script)?;
    }
    let count = usize::try_from(order.maybe_number("coins").unwrap_or(1))?;
    let provisional = outputs
        .commit_outputs()
        .contribute_inputs(wallet.contributions(count)?)?
        .commit_inputs()
        .apply_fee_range(
            order.fee_rate("min_fee_rate"),
            order.fee_rate("max_fee_rate"),
        );
    let provisional = match provisional {
        Ok(provisional) => provisional,
        Err(error) => return Ok(Err(error)),
    };
    let signed = wallet.sign(&provisional.psbt_to_sign())?;
    Ok(provisional.finalize_signed_proposal(&signed))
}
