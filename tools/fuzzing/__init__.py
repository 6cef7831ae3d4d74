"""What `tools.fuzz` is made of: attacks, and a good client that watches how the server bears them."""
