"""Shared by the Python tests: how to find and call the tool, and the stock runtime."""
