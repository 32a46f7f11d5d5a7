"""Scheduled Workflow and report feeds (RAD TF-1: 3)."""
