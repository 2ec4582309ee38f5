"""A model with all that is needed to use and to check it elsewhere, as one folder or one file."""
