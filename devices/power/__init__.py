"""Power meters: a new sensor is one file and one line in this table."""
