"""Partially signed Bitcoin transactions (BIP 174, BIP 370, BIP 371), kept byte for byte."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dovetail.bitcoin.psbt.fields import GlobalField as GlobalField
    from dovetail.bitcoin.psbt.fields import InputField as InputField
    from dovetail.bitcoin.psbt.fields import OutputField as OutputField
    from dovetail.bitcoin.psbt.key_origins import KeyOrigin as KeyOrigin
    from dovetail.bitcoin.psbt.key_origins import TapKeyOrigin as TapKeyOrigin
    from dovetail.bitcoin.psbt.keymap import KeyMap as KeyMap
    from dovetail.bitcoin.psbt.maps import PsbtGlobal as PsbtGlobal
    from dovetail.bitcoin.psbt.maps import PsbtInput as PsbtInput
    from dovetail.bitcoin.psbt.maps import PsbtOutput as PsbtOutput
    from dovetail.bitcoin.psbt.psbt import Psbt as Psbt
    from dovetail.bitcoin.psbt.version2 import PsbtV2 as PsbtV2
    from dovetail.bitcoin.psbt.version2 import read_psbt as read_psbt
else:
    from dovetail.names import on_first_use

    __getattr__ = on_first_use(
        __name__,
        {
            "fields": "GlobalField InputField OutputField",
            "keymap": "KeyMap",
            "maps": "PsbtGlobal PsbtInput PsbtOutput",
            "psbt": "Psbt",
            "key_origins": "KeyOrigin TapKeyOrigin",
            "version2": "PsbtV2 read_psbt",
        },
    )
