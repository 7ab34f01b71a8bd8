"""What test_mixed.py is made of: what is right when (history), servers and identities (bed), what happens on them (churn)."""
