"""The merchant's invoices: what each asks for, what paid it, and where it stands."""
