"""What this plugin contributes; nothing heavy is imported here."""
