"""Where the accuracy of a quantised model went: each layer charged with its own error, by name and with its cause."""
