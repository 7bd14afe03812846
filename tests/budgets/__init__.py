"""Budgets: how many function calls fixed scripts may make. See test_calls.py."""
