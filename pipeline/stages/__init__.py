"""One compression technique per file, each a frozen dataclass of its parameters with `apply()`."""
