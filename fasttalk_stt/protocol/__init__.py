"""The wire protocol without I/O: messages, their codec, PCM decoding, errors, connection states."""
