"""Who may do what: users, their permissions, their limits, and those of virtual hosts."""
