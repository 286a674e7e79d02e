//! A wallet of a few keys from a seed, of any of four script types; it signs its own inputs.

use std::str::FromStr;

use payjoin::bitcoin::consensus::encode::deserialize_hex;
use payjoin::bitcoin::ecdsa::Signature;
use payjoin::bitcoin::hashes::{Hash, sha256};
use payjoin::bitcoin::key::{Keypair, TapTweak};
use payjoin::bitcoin::script::PushBytesBuf;
use payjoin::bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use payjoin::bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use payjoin::bitcoin::{
    Address, Amount, CompressedPublicKey, FeeRate, KnownHrp, Network, OutPoint, Psbt, PublicKey,
    ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, absolute, script, taproot, transaction,
};
use payjoin::receive::InputPair;
use serde_json::{Value, json};

use crate::order::{Answer, Fault, Order};

const REPLACEABLE: Sequence = Sequence(0xFFFF_FFFD);

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    P2wpkh,
    P2tr,
    P2shP2wpkh,
    P2pkh,
}

impl FromStr for Kind {
    type Err = Fault;

    fn from_str(name: &str) -> Result<Self, Fault> {
        match name {
            "P2WPKH" => Ok(Self::P2wpkh),
            "P2TR" => Ok(Self::P2tr),
            "P2SH-P2WPKH" => Ok(Self::P2shP2wpkh),
            "P2PKH" => Ok(Self::P2pkh),
            _ => Err(format!("{name} is no script type of mine").into()),
        }
    }
}

struct Key {
    kind: Kind,
    secret: SecretKey,
    address: Address,
}

struct Coin {
    outpoint: OutPoint,
    previous: Transaction,
}

impl Coin {
    fn output(&self) -> &TxOut {
        &self.previous.output[self.outpoint.vout as usize]
    }
}

pub struct Wallet {
    secp: Secp256k1<All>,
    seed: Vec<u8>,
    keys: Vec<Key>,
    coins: Vec<Coin>,
}

impl Wallet {
    pub fn new(seed: Vec<u8>) -> Self {
        Self {
            secp: Secp256k1::new(),
            seed,
            keys: vec![],
            coins: vec![],
        }
    }

    /// The next address, of the script type `kind`.
    pub fn address(&mut self, order: &Order) -> Answer {
        let kind = order.text("kind")?.parse()?;
        let address = self.fresh(kind)?;
        Ok(json!({ "address": address.to_string() }))
    }

    /// Learn of an output that pays one of our addresses.
    pub fn add_coin(&mut self, order: &Order) -> Answer {
        let previous: Transaction = deserialize_hex(order.text("transaction")?)?;
        let vout = u32::try_from(order.number("vout")?)?;
        let outpoint = OutPoint {
            txid: previous.compute_txid(),
            vout,
        };
        self.coins.push(Coin { outpoint, previous });
        Ok(json!({}))
    }

    /// Every script that our keys have made so far.
    pub fn scripts(&self) -> Value {
        let scripts = self
            .keys
            .iter()
            .map(|key| key.address.script_pubkey().to_hex_string());
        json!({ "scripts": scripts.collect::<Vec<_>>() })
    }

    pub fn owns(&self, script: &script::Script) -> bool {
        self.key(script).is_some()
    }

    pub fn owns_coin(&self, outpoint: &OutPoint) -> bool {
        self.coins.iter().any(|coin| coin.outpoint == *outpoint)
    }

    /// A signed payment out of all our coins, with change to ourselves: an Original PSBT.
    pub fn pay(
        &mut self,
        payments: &[(u64, Address)],
        change: Option<Kind>,
        rate: FeeRate,
    ) -> Result<Psbt, Fault> {
        let mut outputs: Vec<TxOut> = payments
            .iter()
            .map(|(sats, address)| TxOut {
                value: Amount::from_sat(*sats),
                script_pubkey: address.script_pubkey(),
            })
            .collect();
        let held: Amount = self.coins.iter().map(|coin| coin.output().value).sum();
        let paid: Amount = outputs.iter().map(|output| output.value).sum();
        let mut rest = held.checked_sub(paid).ok_or("the coins do not reach")?;
        if let Some(kind) = change {
            let script_pubkey = self.fresh(kind)?.script_pubkey();
            outputs.push(TxOut {
                value: rest,
                script_pubkey,
            });
            let draft = self.sign(&self.unsigned(outputs.clone())?)?;
            let weight = draft.extract_tx_unchecked_fee_rate().weight();
            let fee = rate.fee_wu(weight).ok_or("the fee is out of range")?;
            rest = rest
                .checked_sub(fee)
                .ok_or("the coins do not reach for the fee")?;
            outputs.last_mut().expect("the change").value = rest;
        }
        self.sign(&self.unsigned(outputs)?)
    }

    /// What our first `count` coins bring to another's transaction.
    pub fn contributions(&self, count: usize) -> Result<Vec<InputPair>, Fault> {
        self.coins
            .iter()
            .take(count)
            .map(|coin| {
                let key = self
                    .key(&coin.output().script_pubkey)
                    .ok_or("a coin is not ours")?;
                let output = coin.output().clone();
                Ok(match key.kind {
                    Kind::P2wpkh => InputPair::new_p2wpkh(output, coin.outpoint)?,
                    Kind::P2tr => InputPair::new_p2tr_keyspend(output, coin.outpoint)?,
                    Kind::P2pkh => InputPair::new_p2pkh(coin.previous.clone(), coin.outpoint)?,
                    Kind::P2shP2wpkh => {
                        let redeem = self.witness_program(key);
                        InputPair::new_p2sh(coin.previous.clone(), coin.outpoint, redeem)?
                    }
                })
            })
            .collect()
    }

    /// Sign and finalize those inputs that are ours; the others stay as they are.
    pub fn sign(&self, psbt: &Psbt) -> Result<Psbt, Fault> {
        let mut signed = psbt.clone();
        let spent = (0..psbt.inputs.len())
            .map(|index| Ok(psbt.spend_utxo(index)?.clone()))
            .collect::<Result<Vec<TxOut>, Fault>>()?;
        let mut cache = SighashCache::new(&psbt.unsigned_tx);
        for (index, output) in spent.iter().enumerate() {
            let Some(key) = self.key(&output.script_pubkey) else {
                continue;
            };
            let (script_sig, witness) = self.unlock(key, &mut cache, index, &spent)?;
            let input = &mut signed.inputs[index];
            input.final_script_sig = script_sig;
            input.final_script_witness = witness;
            input.redeem_script = None;
        }
        Ok(signed)
    }

    fn unlock(
        &self,
        key: &Key,
        cache: &mut SighashCache<&Transaction>,
        index: usize,
        spent: &[TxOut],
    ) -> Result<(Option<ScriptBuf>, Option<Witness>), Fault> {
        let output = &spent[index];
        let public = self.public(key);
        match key.kind {
            Kind::P2pkh => {
                let hash = cache.legacy_signature_hash(
                    index,
                    &output.script_pubkey,
                    EcdsaSighashType::All.to_u32(),
                )?;
                let signature = self.ecdsa(key, Message::from_digest(hash.to_byte_array()));
                let unlocking = script::Builder::new()
                    .push_slice(PushBytesBuf::try_from(signature.to_vec())?)
                    .push_key(&PublicKey::from(public))
                    .into_script();
                Ok((Some(unlocking), None))
            }
            Kind::P2wpkh | Kind::P2shP2wpkh => {
                let program = self.witness_program(key);
                let hash = cache.p2wpkh_signature_hash(
                    index,
                    &program,
                    output.value,
                    EcdsaSighashType::All,
                )?;
                let signature = self.ecdsa(key, Message::from_digest(hash.to_byte_array()));
                let witness = Witness::p2wpkh(&signature, &public.0);
                let unlocking = (key.kind == Kind::P2shP2wpkh)
                    .then(|| PushBytesBuf::try_from(program.to_bytes()))
                    .transpose()?
                    .map(|push| script::Builder::new().push_slice(push).into_script());
                Ok((unlocking, Some(witness)))
            }
            Kind::P2tr => {
                let hash = cache.taproot_key_spend_signature_hash(
                    index,
                    &Prevouts::All(spent),
                    TapSighashType::Default,
                )?;
                let pair = Keypair::from_secret_key(&self.secp, &key.secret)
                    .tap_tweak(&self.secp, None)
                    .to_keypair();
                let message = Message::from_digest(hash.to_byte_array());
                let signature = taproot::Signature {
                    signature: self.secp.sign_schnorr_no_aux_rand(&message, &pair),
                    sighash_type: TapSighashType::Default,
                };
                Ok((None, Some(Witness::p2tr_key_spend(&signature))))
            }
        }
    }

    fn unsigned(&self, output: Vec<TxOut>) -> Result<Psbt, Fault> {
        let input = self
            .coins
            .iter()
            .map(|coin| TxIn {
                previous_output: coin.outpoint,
                sequence: REPLACEABLE,
                ..TxIn::default()
            })
            .collect();
        let mut psbt = Psbt::from_unsigned_tx(Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::ZERO,
            input,
            output,
        })?;
        for (coin, known) in self.coins.iter().zip(&mut psbt.inputs) {
            match self.key(&coin.output().script_pubkey).map(|key| key.kind) {
                Some(Kind::P2pkh) => known.non_witness_utxo = Some(coin.previous.clone()),
                _ => known.witness_utxo = Some(coin.output().clone()),
            }
        }
        Ok(psbt)
    }

    pub fn fresh(&mut self, kind: Kind) -> Result<Address, Fault> {
        let index = u32::try_from(self.keys.len())?;
        let mut material = self.seed.clone();
        material.extend(index.to_be_bytes());
        let secret = SecretKey::from_slice(sha256::Hash::hash(&material).as_ref())?;
        let pair = Keypair::from_secret_key(&self.secp, &secret);
        let public = CompressedPublicKey(pair.public_key());
        let address = match kind {
            Kind::P2wpkh => Address::p2wpkh(&public, KnownHrp::Regtest),
            Kind::P2shP2wpkh => Address::p2shwpkh(&public, Network::Regtest),
            Kind::P2pkh => Address::p2pkh(public, Network::Regtest),
            Kind::P2tr => Address::p2tr(
                &self.secp,
                pair.x_only_public_key().0,
                None,
                KnownHrp::Regtest,
            ),
        };
        self.keys.push(Key {
            kind,
            secret,
            address: address.clone(),
        });
        Ok(address)
    }

    fn key(&self, script: &script::Script) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.address.script_pubkey() == *script)
    }

    fn public(&self, key: &Key) -> CompressedPublicKey {
        CompressedPublicKey(key.secret.public_key(&self.secp))
    }

    fn witness_program(&self, key: &Key) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&self.public(key).wpubkey_hash())
    }

    fn ecdsa(&self, key: &Key, message: Message) -> Signature {
        Signature::sighash_all(self.secp.sign_ecdsa_low_r(&message, &key.secret))
    }
}
