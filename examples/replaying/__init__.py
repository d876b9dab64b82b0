"""What replay.py is made of, besides the replaying itself."""
