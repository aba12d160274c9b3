"""Skill + Request + Host → RunSpec; nothing left implicit."""
