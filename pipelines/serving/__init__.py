"""The registered model behind a port: `make serve` ([how to ask it](../../docs/serving.md))."""
