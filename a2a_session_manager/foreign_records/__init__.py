"""Records of other programs' files, such as a line of a log or an exported conversation: the messages in each."""
