"""A shop's wallet without its keys: public descriptors, coins, and the signer that is asked."""
