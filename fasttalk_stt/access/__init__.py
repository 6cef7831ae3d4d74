"""Who gets in, with what, and how much: credentials, origins, addresses, rates. Pure and synchronous."""
