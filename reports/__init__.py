"""Reads records, renders them; never touches a device."""
