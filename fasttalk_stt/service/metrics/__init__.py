"""Prometheus metrics: what is timed (`stages`), counted (`counters`) and read from the service (`state`)."""
