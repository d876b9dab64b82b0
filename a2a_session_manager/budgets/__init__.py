"""Limits on what a session and all below it may spend: the rules, without I/O."""
