"""The shop in the words of BTCPay Server's Greenfield API (version 1), on the same services."""

from dovetail.merchant.greenfield.mount import mount as mount
