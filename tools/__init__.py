"""Measuring tools for developers: run each as `python -m tools.NAME`."""
