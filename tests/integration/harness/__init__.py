"""What the integration tests stand on: a private site, clients of every kind, and readers of its logs and metrics."""
