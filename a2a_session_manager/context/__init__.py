"""What goes to the model: sessions and events in, chat messages out."""
