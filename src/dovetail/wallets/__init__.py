"""What a session needs of a wallet and of a chain: `ports`, and the adapters beside it."""
