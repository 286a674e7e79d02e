//! Orders as they come in, and what goes back.

use std::error::Error;
use std::str::FromStr;

use payjoin::Request;
use payjoin::bitcoin::base64::Engine;
use payjoin::bitcoin::base64::prelude::BASE64_STANDARD;
use payjoin::bitcoin::hex::FromHex;
use payjoin::bitcoin::{Address, FeeRate, ScriptBuf};
use serde_json::{Value, json};

pub type Fault = Box<dyn Error>;
pub type Answer = Result<Value, Fault>;

/// One order: an object whose fields are read by name.
pub struct Order(Value);

impl Order {
    pub fn parse(line: &str) -> Result<Self, Fault> {
        Ok(Self(serde_json::from_str(line)?))
    }

    pub fn verb(&self) -> Result<&str, Fault> {
        self.text("do")
    }

    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        self.maybe_text(name)
            .ok_or_else(|| format!("`{name}` must be a string").into())
    }

    pub fn maybe_text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    pub fn number(&self, name: &str) -> Result<u64, Fault> {
        self.maybe_number(name)
            .ok_or_else(|| format!("`{name}` must be a number").into())
    }

    pub fn maybe_number(&self, name: &str) -> Option<u64> {
        self.0[name].as_u64()
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.0[name].as_bool().unwrap_or(default)
    }

    pub fn hex(&self, name: &str) -> Result<Vec<u8>, Fault> {
        Ok(Vec::from_hex(self.text(name)?)?)
    }

    pub fn body(&self) -> Result<Vec<u8>, Fault> {
        Ok(BASE64_STANDARD.decode(self.text("body")?)?)
    }

    pub fn script(&self, name: &str) -> Result<Option<ScriptBuf>, Fault> {
        Ok(self.maybe_text(name).map(ScriptBuf::from_hex).transpose()?)
    }

    /// Pairs of satoshis and an address.
    pub fn payments(&self, name: &str) -> Result<Vec<(u64, Address)>, Fault> {
        self.list(name)
            .iter()
            .map(|pair| {
                let sats = pair[0]
                    .as_u64()
                    .ok_or("a payment begins with its satoshis")?;
                let address = pair[1].as_str().ok_or("a payment ends with its address")?;
                Ok((sats, Address::from_str(address)?.assume_checked()))
            })
            .collect()
    }

    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.list(name).iter().filter_map(Value::as_str).collect()
    }

    /// A fee rate in sat/vB.
    pub fn fee_rate(&self, name: &str) -> Option<FeeRate> {
        self.maybe_number(name).and_then(FeeRate::from_sat_per_vb)
    }

    fn list(&self, name: &str) -> &[Value] {
        self.0[name]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// A request for whoever leads us to send.
pub fn to_send(request: &Request) -> Value {
    json!({
        "url": request.url,
        "content_type": request.content_type,
        "body": base64(&request.body),
    })
}
