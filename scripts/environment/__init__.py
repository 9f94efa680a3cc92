"""The steps of bootstrap.py; standard library only, as nothing is installed yet."""
