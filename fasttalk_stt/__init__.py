"""Fasttalk STT: a real-time speech-to-text server for conversational AI."""

from __future__ import annotations

__version__ = "0.1.0"
