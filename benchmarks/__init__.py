"""The figures: each part measures one thing and writes one JSON file with the command that made it."""
