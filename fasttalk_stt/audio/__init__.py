"""Audio without I/O: sample positions, buffering, resampling, voice activity, endpoints."""
