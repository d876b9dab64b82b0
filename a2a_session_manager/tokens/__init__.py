"""Text in, numbers of tokens out: nothing here knows sessions, stores or money."""
