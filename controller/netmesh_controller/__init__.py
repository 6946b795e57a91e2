"""Finds the agents, drives all-pairs tests, aggregates and shows."""
