"""Speech recognition: the engine interface, WhisperX behind it, and the scheduler in front of it."""
