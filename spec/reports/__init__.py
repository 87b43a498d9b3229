"""What we promise of the reports."""
