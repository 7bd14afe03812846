"""Queues and their types."""
