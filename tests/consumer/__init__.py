"""What a program of a user looks like: every public name of the client, the broker and the pytest plugin, in use."""
