"""One socket's tasks under Trio: receiver, listener, transcriber, sender."""
