"""Whole recordings: read from files, transcribed through a connection, written as text or subtitles."""
