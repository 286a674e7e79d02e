"""The HTTP API of the merchant, `/api/v1`: routes, keys, limits and its OpenAPI document."""

from dovetail.merchant.api.app import make_app as make_app
