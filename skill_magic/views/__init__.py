"""Views: they watch events and show results; nothing here decides or changes a run."""
