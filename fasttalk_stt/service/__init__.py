"""The service around the connections: admission, health, statistics, logging."""
