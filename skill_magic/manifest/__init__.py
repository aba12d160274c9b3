"""skills.toml files → Skill: found, layered, read, validated."""
