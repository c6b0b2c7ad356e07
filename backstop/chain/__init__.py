"""Deployment, addresses, signing and typed clients: everything that knows about the chain."""
