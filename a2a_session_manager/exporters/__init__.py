"""Conversations as other programs take them: as messages of a provider, and as Markdown."""
