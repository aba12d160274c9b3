"""What of the host a container sees: the grammar of mounts, and what is kept from it."""
