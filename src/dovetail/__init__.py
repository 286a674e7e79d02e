"""Payjoin for Python."""
