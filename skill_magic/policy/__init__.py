"""RunSpec → every Violation at once, or none; grants and settings."""
