'use strict';
// A v1 sender on payjoin-client: one order as JSON on stdin, one answer as JSON on stdout.
//
// The order: `endpoint` and `script` (hex) of whom to pay, `amount` and `parameters`; the fee, `rate`
// for each virtual byte and `extra` satoshis; the `coin` (`txid`, `vout`, `value`, `previous` in hex), its `kind` and `key` (hex); `change` (hex);
// `chain`, the URL of an Esplora server. The answer: the txids of `original` and of what was
// broadcast (`sent`, in order), and the `error` and its `code` if it came to no payjoin.

const bitcoin = require('bitcoinjs-lib');
const { PayjoinClient } = require('payjoin-client');

const network = bitcoin.networks.regtest;
const sequence = 0xfffffffd;

function spending(kind, pubkey) {
  const segwit = bitcoin.payments.p2wpkh({ pubkey, network });
  switch (kind) {
    case 'P2WPKH':
      return { script: segwit.output };
    case 'P2SH-P2WPKH': {
      const nested = bitcoin.payments.p2sh({ redeem: segwit, network });
      return { script: nested.output, redeemScript: segwit.output };
    }
    default:
      return { script: bitcoin.payments.p2pkh({ pubkey, network }).output };
  }
}

class Wallet {
  constructor(order) {
    this.order = order;
    this.pair = bitcoin.ECPair.fromPrivateKey(Buffer.from(order.key, 'hex'), { network });
    this.pair.lowR = true; // so that signatures have one length
    this.sent = [];
  }

  async getPsbt() {
    let [fee, psbt, transaction] = [1_000];
    do {
      psbt = this.signed(fee);
      transaction = psbt.clone().finalizeAllInputs().extractTransaction();
      [fee, this.fee] = [this.order.rate * transaction.virtualSize() + this.order.extra, fee];
    } while (fee !== this.fee);
    this.original = transaction.getId();
    return psbt;
  }

  signed(fee) {
    const { amount, change, coin, kind, script } = this.order;
    const own = spending(kind, this.pair.publicKey);
    const input = { hash: coin.txid, index: coin.vout, sequence };
    if (kind === 'P2PKH') {
      input.nonWitnessUtxo = Buffer.from(coin.previous, 'hex');
    } else {
      input.witnessUtxo = { script: own.script, value: coin.value };
    }
    if (own.redeemScript) input.redeemScript = own.redeemScript;
    return new bitcoin.Psbt({ network })
      .addInput(input)
      .addOutput({ script: Buffer.from(script, 'hex'), value: amount })
      .addOutput({ script: Buffer.from(change, 'hex'), value: coin.value - amount - fee })
      .signAllInputs(this.pair);
  }

  async signPsbt(proposal) {
    const { txid, vout } = this.order.coin;
    const at = proposal.txInputs.findIndex(
      (each) => each.index === vout && Buffer.from(each.hash).reverse().toString('hex') === txid,
    );
    return proposal.signInput(at, this.pair).finalizeInput(at);
  }

  async broadcastTx(hex) {
    const answer = await fetch(`${this.order.chain}/tx`, { method: 'POST', body: hex });
    const text = await answer.text();
    if (!answer.ok) return text;
    this.sent.push(text);
    return '';
  }

  async scheduleBroadcastTx() {
    // The test ends long before the two minutes are over.
  }
}

async function main(order) {
  const wallet = new Wallet(order);
  const answer = {};
  try {
    await new PayjoinClient({
      wallet,
      payjoinUrl: order.endpoint,
      paymentScript: Buffer.from(order.script, 'hex'),
      payjoinParameters: order.parameters,
    }).run();
  } catch (error) {
    answer.error = error.message;
    answer.code = error.code;
  }
  return { ...answer, original: wallet.original, sent: wallet.sent };
}

let text = '';
process.stdin.on('data', (chunk) => (text += chunk));
process.stdin.on('end', async () => {
  process.stdout.write(JSON.stringify(await main(JSON.parse(text))));
});
