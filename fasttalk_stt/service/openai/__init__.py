"""OpenAI's transcription API on the main port: its form, its answers, its errors, its routes."""
