"""The parts of replay.py that read transcripts and report spending."""
