"""The broker behind a TCP port."""
