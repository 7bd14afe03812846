"""Ways to reach a broker that lies outside of this process."""
