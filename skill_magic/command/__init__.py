"""words → Command: the grammar that both doors share."""
