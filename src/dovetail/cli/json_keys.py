"""The keys of what `--json` prints, and what they mean. They are stable: scripts read them."""

SESSION = {
    "session": "the session's number",
    "role": "`sender` or `receiver`",
    "status": "where it stands, as a code; `damaged` for a log that cannot be read",
    "status_words": "the same in words",
    "next": "what to do next, in words",
    "amount_sats": "the amount in satoshis; null where it is not known",
    "expires_at": "when the URI expires, in Unix seconds",
    "outcome": "how it ended, as a code; null while it is open",
    "reason": "why there is no payjoin, as a code; null where there is none",
    "reason_words": "the same in words",
    "reason_advice": "what to do about it, in words",
    "rule": "the rule of BIP 78 that the receiver's proposal broke, as a code; else null",
    "owed": "what is still to be paid or to come, and how, in words",
    "receiver_can_take": "whether the receiver can still take a payment that was cancelled or"
    " declined here",
    "deadline": "the next effect of time: `expires`, `fallback` (the ordinary payment is"
    " broadcast), `watching` (nobody paid, and it ends), `signing`; null where nothing",
    "deadline_at": "when, in Unix seconds",
    "txid": "the transaction that was broadcast or seen; null before",
    "seen": "the last sighting of the payment on the chain, by any process: `kind` (`payjoin`,"
    " `fallback`, `direct` to the address, `revocation`, `stranger`, or the `double-spend` of a"
    " payment that came to a receiver), `txid`, `confirmations`, `gone` (it was there and is no"
    " more), `at` (when it was first seen so, in Unix seconds),"
    " `came_sats` (what has come to a receiver's address in all, also in part; null where nothing"
    " but the payment itself did) of `asked_sats` (null where no amount was named),"
    " `fee_rate` (of an unconfirmed stranger that keeps the ordinary payment out: sat/vB as text;"
    " null where it is not known, and else); null before",
    "received_sats": "what the receiver gets by the payjoin or the ordinary payment, or got at the"
    " address in all where the session ended otherwise; null on the sender's side, and before that"
    " is known",
    "receiver_fee_sats": "the receiver's part of the fee: it is missing from the amount that was"
    " asked for",
    "in_all_sats": "what has come to a receiver's address in all, where more came than the payment;"
    " else null",
    "too_much_sats": "how much of that is more than was asked for; null where no amount was named",
    "beside_txids": "the transactions by which it came beside the payment; else null",
    "paid_fee_sats": "the whole fee of the transaction by which the sender pays; null on the"
    " receiver's side, and before that is known",
    "paid_fee_rate": "its rate in sat/vB, as text",
}

EVENT = {
    "at": "when it happened, in Unix seconds",
    "session": "the session's number",
    "role": "`sender` or `receiver`",
    "event": "what happened: `begun`, `state` (it moved on), `seen` (the chain shows something else"
    " of its money: in the mempool, each confirmation, gone), `fee` (the fee is low, or another"
    " transaction keeps the payment out), `trouble` (it is tried again), `asks` (it waits for"
    " your decision), `paid`, `ended` (without this payment), `left` (the command ends first),"
    " `damaged`, `fault`",
    "words": "the same in words",
    "uri": "the Payjoin URI, once, when `receive` has begun; else null",
    "status": "where it stands, as a code; null where that is not known",
    "amount_sats": "the amount in satoshis; null where it is not known",
    "txid": "the transaction that was seen, or that paid; else null",
    "confirmations": "how many it has; null where none was seen",
    "outcome": "how it ended, as a code; null while it is open",
}

RECEIVE = {"uri": "the Payjoin URI, for one sender and one payment"} | SESSION

_TROUBLE = "what kept the payment from going on when the command left, in words; null where nothing"

SEND = SESSION | {
    "fee_sats": "the fee of the ordinary payment",
    "most_added_sats": "the most that a payjoin may add to that fee",
    "version": "2 through a directory (BIP 77), 1 straight to the receiver's server (BIP 78)",
    "trouble": _TROUBLE,
}

PAY = SESSION | {
    "fee_sats": "the fee of the payment",
    "most_added_sats": "always 0: no payjoin adds to it",
    "version": "always null: there is no payjoin",
    "trouble": _TROUBLE,
}

RESUME = {"sessions": "the sessions that were resumed, each with the keys that `cancel` prints"}

LISTED = SESSION | {
    "label": "the label of the request; null where it has none",
    "created_at": "when it began, in Unix seconds",
    "closed_at": "when it ended, in Unix seconds; null while it is open",
}

DETAILS = {
    "message": "the message of the request; null where it has none",
    "address": "the address that is paid",
    "uri": "the Payjoin URI of a receiver, as long as somebody can pay by it; else null",
    "asked_sats": "what the request asks for; null for any amount",
    "asked_fee_rate": "the fee rate that a sender chose, in sat/vB as text; null where that was not"
    " noted, and on the receiver's side",
    "transaction_fee_sats": "the whole fee of the transaction that pays, by both parties; null"
    " where that is not known",
    "transaction_fee_rate": "its rate in sat/vB, as text; a receiver knows it of a payjoin once"
    " that has confirmed",
    "spent_sats": "what the payment takes from a sender's wallet in all, fee included; null before"
    " that is known, and on the receiver's side",
    "payjoin_cost_sats": "what the payjoin costs beside the ordinary payment: a sender pays that"
    " much more, a receiver gets that much less; null where none pays",
    "payjoin_added_sats": "the value of each coin that the receiver added; null where no payjoin"
    " pays",
    "confirmations": "how many the transaction had when it was seen last (0: in the mempool); null"
    " where it was not seen",
    "confirmations_wanted": "how many it needs; null likewise",
}

HISTORY = {
    "sessions": "the sessions, newest first, each with the keys that `cancel` prints, and with"
    " `label`, `created_at` and `closed_at` as in `show`",
    "more": "whether there are older ones: go on with `--before`",
}

CSV = {
    "session": "the session's number",
    "role": "`sender` or `receiver`",
    "label": "the label of the request, behind a `'` where a spreadsheet would calculate it",
    "status": "where it stands, as a code",
    "outcome": "how it ended, as a code; empty while it is open",
    "reason": "why there is no payjoin, as a code; empty where there is none",
    "amount_sats": "the amount in satoshis",
    "received_sats": "what a receiver gets or got",
    "receiver_fee_sats": "the receiver's part of the fee",
    "paid_fee_sats": "the whole fee of the transaction by which a sender pays",
    "paid_fee_rate": "its rate in sat/vB",
    "txid": "the transaction that was broadcast or seen last",
    "confirmations": "how many it had when it was seen last",
    "created_at": "when the session began, in UTC as `2026-11-24T03:38:06Z`, as all times here",
    "closed_at": "when it ended; empty while it is open",
    "expires_at": "when the URI expires",
}

SHOW = (
    LISTED
    | DETAILS
    | {
        "problem": "why the log cannot be read; null where it can",
        "events": "the log: each with `seq`, `at` (Unix seconds), `event` (its tag), `words`,"
        " `exchanged` (what was sent or received, in bytes: `direction`, `wire`, `message`, `psbt`;"
        " null where nothing was) and, with `--raw`, `entry` (as it is stored, without keys; null"
        " where it may hold one)",
    }
)

IMPORT = {
    "sessions": "the sessions of the file, each with `number` (there), `session` (here), `result`"
    " (`added`, `extended`, `unchanged` or `refused`) and `problem` (why it was refused)"
}

REVOKE = SESSION | {
    "revocation_txid": "the transaction that takes the payment back",
    "revocation_fee_sats": "what it costs; null where that is not known",
}

WALLET_NEW = {
    "network": "the network it is for",
    "kind": "the kind of its addresses",
    "mnemonic": "the 12 words",
    "encrypted": "whether a passphrase encrypts words and keys on the disk",
}
WALLET_IMPORT = {
    "network": "the network it is for",
    "kind": "the kind of its addresses; null for descriptors",
    "encrypted": "whether a passphrase encrypts words and keys on the disk",
}
WALLET_PASSPHRASE = {
    "encrypted": "whether a passphrase encrypts words and keys on the disk now",
}
WALLET_KEYRING = {
    "kept": "whether the keyring keeps the wallet's passphrase now",
}
WALLET_WORDS = {
    "network": "the network it is for",
    "kind": "the kind of its addresses",
    "path": "the account's path (BIP 44, 49, 84 or 86); null for descriptors",
    "mnemonic": "the words; null for descriptors",
    "descriptors": "the descriptors for payments and for change, with private keys; null for words",
}
CONFIG_PATH = {
    "path": "the configuration file",
    "exists": "whether it is there",
}
CONFIG_SHOW = {
    **CONFIG_PATH,
    "settings": "each key with its `value` (durations in seconds; null where none is set, and for a"
    " password) and its `origin`: `flag`, `variable`, `file` or `default`",
}
WALLET_INFO = {
    "network": "the network it is for",
    "kind": "the kind of its addresses",
    "encrypted": "whether a passphrase encrypts words and keys on the disk",
    "folder": "where it is kept",
}
WALLET_BACKUP = {
    "file": "the file that was written",
    "sessions": "how many sessions are in it",
    "open": "how many of them were open",
}
WALLET_RESTORE = {
    "network": "the network it is for",
    "kind": "the kind of its addresses",
    "made_at": "when the backup was made, in Unix seconds",
} | IMPORT
WALLET_ADDRESS = {
    "address": "an address that was given to nobody before",
    "network": "the network it is for",
}
WALLET_BALANCE = {
    "confirmed_sats": "what can be spent now",
    "unconfirmed_sats": "what waits for a confirmation or for maturity",
    "reserved_sats": "how much of the confirmed is held by open sessions",
    "spendable_sats": "the rest of the confirmed",
    "reserved_by": "the numbers of those sessions",
}
WALLET_TRANSACTIONS = {
    "transactions": "the newest first, each with `txid`, `at` (when it was mined or seen, in Unix"
    " seconds; null where not known), `received_sats` (paid to the wallet), `sent_sats` (of the"
    " wallet's coins), `fee_sats` (the whole fee, by all parties; null where not known),"
    " `confirmations` (0: in the mempool) and `sessions` (the numbers of the sessions it belongs"
    " to)",
    "more": "whether there are older ones: raise `--limit`",
}
WALLET_COINS = {
    "coins": "the confirmed coins, each with `outpoint`, `amount_sats`, `reserved` (held by an"
    " open session), `session` (its number; else null) and `exposed` (known to a counterparty)"
}

REGTEST_FUND = {"outpoint": "the coin that was made, as `txid:vout`"}
REGTEST_MINE = {"blocks": "the hashes of the new blocks, oldest first"}

MAILROOM_CHECK = {
    "well": "whether everything is",
    "findings": "what was tested: `about`, `well`, and `words`",
}
MAILROOM_STATUS = {
    "status": "its health in a word",
    "version": "the version that runs",
    "url": "where it listens",
    "running_seconds": "since when",
    "numbers": "what is open and held, and what was refused; numbers of the directory are told once"
    " a minute and in steps of 32",
    "settings": "every setting as it holds now, by its name",
    "blocked": "the networks that `block` refuses",
}
MAILROOM_KEYS = {
    "keys": "the OHTTP keys that are accepted, the oldest first: each with `id`, `since` (when it"
    " was made, in Unix seconds) and `until` (null for the newest, which is published)",
}
MAILROOM_ROTATE = {"id": "the id of the key that is published from now on"}
MAILROOM_BACKUP = {"folder": "the new folder", "files": "the names of its files"}
MAILROOM_BLOCK = {
    "network": "the network",
    "holds": "whether a mailroom that runs has taken it in; else the next start does",
}

MERCHANT_INIT = {
    "path": "the configuration file",
    "network": "the network",
    "store": "the id of the store",
    "user": "the name of the first user",
    "new_wallet": "whether a hot wallet was made",
}
MERCHANT_BACKUP = {
    "folder": "the new folder",
    "network": "the network",
    "made_at": "when it was made, in Unix seconds",
    "files": "the names of its files",
}
MERCHANT_RESTORE = {
    "network": "the network",
    "made_at": "when the backup was made, in Unix seconds",
    "files": "where each file is now",
}
MERCHANT_STORE = {"store": "the id of the new store", "wallet": "the id of its wallet"}
MERCHANT_KEY = {"key": "the id of the new API key", "secret": "the key itself, shown this once"}
MERCHANT_DEPOSIT = {"address": "a new address of the hot wallet"}
MERCHANT_CHECK = {
    "well": "whether everything is",
    "findings": "what was tested: `about`, `well`, and `words`",
}
MERCHANT_APPROVE = {
    "approved": "the id of the payment that was approved; null where they are listed",
    "waiting": "the payments that wait: `payment` (the id), `recipients` (each with `script` in"
    " hex, `address` or null, and `sats`), and `fee_sats`",
}
MERCHANT_SWEEP = {
    "txid": "the transaction",
    "coins": "how many coins it spends",
    "amount_sats": "what it pays to cold storage",
    "fee_sats": "its fee",
}
MERCHANT_REFUNDS = {
    "refunds": "the refunds, the newest first: each with `refund` and `invoice` (the ids),"
    " `status`, `amount_sats`, `address` (the customer's, or null), `reason` (or null), `txid` (or"
    " null), `trouble` (what keeps it from being paid, as a code, or null), and `trouble_words`",
}
MERCHANT_REFUND = {"refund": "the id of the refund", "status": "where it stands now, as a code"}
MERCHANT_USERS = {
    "users": "the users, the oldest first: each with `user` (the id), `name`, `role`, and"
    " `disabled`",
}
MERCHANT_USER = {"user": "the id of the user", "name": "their name"}
