"""The pages that a reader sees, README.md and docs/: their code runs."""
