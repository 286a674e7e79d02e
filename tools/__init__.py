"""Programs for those who work on Dovetail: none of them is in the wheel."""
