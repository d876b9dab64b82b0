"""Conversations of other programs, read from their files, as sessions: one module a format."""
