"""``hutch serve`` from the inside: what options, environment and files ask for, and a broker that is so."""
