"""Runs side by side: what each one measured, their ranking, the table and the report."""
