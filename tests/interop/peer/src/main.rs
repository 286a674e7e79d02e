//! A payjoin peer: rust-payjoin's states and a wallet of a few keys, led by JSON lines.
//!
//! Each line on stdin is an order, `{"do": "<verb>", ...}`; each gets one line on stdout, either
//! `{"ok": {...}}` or `{"error": "<what rust-payjoin said>"}`. The peer opens no connection: it
//! hands out the requests it wants sent and is told their answers, so that whoever leads it
//! carries, times and records every byte.

mod order;
mod receiver;
mod receiver_v1;
mod sender;
mod wallet;

use std::io::{BufRead, Write};

use order::{Answer, Fault, Order};
use payjoin::bitcoin::Psbt;
use serde_json::{Value, json};
use wallet::Wallet;

/// One side of one payjoin: what it can be told to do depends on where it stands.
trait Party {
    fn act(&mut self, order: &Order, wallet: &Wallet) -> Answer;

    /// The session's event log, as it would be stored; version 1 has none.
    fn log(&self) -> Result<Vec<Value>, Fault> {
        Err("version 1 keeps no log".into())
    }
}

#[derive(Default)]
struct Peer {
    wallet: Option<Wallet>,
    party: Option<Box<dyn Party>>,
}

impl Peer {
    fn obey(&mut self, order: &Order) -> Answer {
        if order.verb()? == "wallet" {
            self.wallet = Some(Wallet::new(order.hex("seed")?));
            return Ok(json!({}));
        }
        let wallet = self.wallet.as_mut().ok_or("give me a wallet first")?;
        match order.verb()? {
            "address" => wallet.address(order),
            "coin" => wallet.add_coin(order),
            "scripts" => Ok(wallet.scripts()),
            "sign" => {
                let psbt: Psbt = order.text("psbt")?.parse()?;
                Ok(json!({ "psbt": wallet.sign(&psbt)?.to_string() }))
            }
            "send" => {
                let (party, answer) = sender::begin(order, wallet)?;
                self.party = Some(party);
                Ok(answer)
            }
            "receive" => {
                let (party, answer) = receiver::begin(order, wallet)?;
                self.party = Some(party);
                Ok(answer)
            }
            "receive_v1" => {
                let (party, answer) = receiver_v1::begin(order, wallet)?;
                self.party = Some(party);
                Ok(answer)
            }
            "log" => {
                let party = self.party.as_ref().ok_or("begin a session first")?;
                Ok(json!({ "events": party.log()? }))
            }
            _ => self
                .party
                .as_mut()
                .ok_or("begin a session first")?
                .act(order, wallet),
        }
    }
}

fn main() {
    let mut peer = Peer::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let answer = match Order::parse(&line).and_then(|order| peer.obey(&order)) {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": error.to_string() }),
        };
        if writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}
