"""What `tools.rehearse` is made of: a network that breaks, talk that can be checked word by word."""
