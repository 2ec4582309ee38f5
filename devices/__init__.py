"""How to reach, feed and measure a board."""
