"""Run containerised programs from a notebook."""
