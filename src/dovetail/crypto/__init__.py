"""The wire's cryptography: secp256k1, BIP 324 ElligatorSwift, RFC 9180, RFC 9292 and RFC 9458."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.crypto.bhttp import BhttpRequest as BhttpRequest
    from dovetail.crypto.bhttp import BhttpResponse as BhttpResponse
    from dovetail.crypto.entropy import Entropy as Entropy
    from dovetail.crypto.entropy import SeededEntropy as SeededEntropy
    from dovetail.crypto.entropy import below as below
    from dovetail.crypto.entropy import shuffled as shuffled
    from dovetail.crypto.entropy import system as system
    from dovetail.crypto.hpke import OpenContext as OpenContext
    from dovetail.crypto.hpke import SealContext as SealContext
    from dovetail.crypto.hpke import setup_auth_receiver as setup_auth_receiver
    from dovetail.crypto.hpke import setup_auth_sender as setup_auth_sender
    from dovetail.crypto.hpke import setup_base_receiver as setup_base_receiver
    from dovetail.crypto.hpke import setup_base_sender as setup_base_sender
    from dovetail.crypto.ohttp import GatewayKey as GatewayKey
    from dovetail.crypto.ohttp import KeyConfig as KeyConfig
    from dovetail.crypto.ohttp import OtherSuite as OtherSuite
    from dovetail.crypto.ohttp import ReplyContext as ReplyContext
    from dovetail.crypto.ohttp import ResponseContext as ResponseContext
    from dovetail.crypto.ohttp import UnknownKeyId as UnknownKeyId
    from dovetail.crypto.ohttp import decapsulate as decapsulate
    from dovetail.crypto.ohttp import encapsulate as encapsulate
    from dovetail.crypto.secp256k1 import PublicKey as PublicKey
    from dovetail.crypto.secp256k1 import SecretKey as SecretKey
    from dovetail.crypto.secp256k1 import ellswift_decode as ellswift_decode
    from dovetail.crypto.secp256k1 import ellswift_encode as ellswift_encode
    from dovetail.crypto.secp256k1 import verify_ecdsa as verify_ecdsa
    from dovetail.crypto.secp256k1 import verify_schnorr as verify_schnorr
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "bhttp": "BhttpRequest BhttpResponse",
            "entropy": "Entropy SeededEntropy below shuffled system",
            "hpke": (
                "OpenContext SealContext setup_auth_receiver setup_auth_sender "
                "setup_base_receiver setup_base_sender"
            ),
            "ohttp": (
                "GatewayKey KeyConfig OtherSuite ReplyContext ResponseContext "
                "UnknownKeyId decapsulate encapsulate"
            ),
            "secp256k1": (
                "PublicKey SecretKey ellswift_decode ellswift_encode verify_ecdsa verify_schnorr"
            ),
        },
    )
