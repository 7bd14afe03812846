"""What users do with several parts of hutch, from beginning to end."""
