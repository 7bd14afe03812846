"""What an operator sets: policies with their checks, and resource alarms."""
