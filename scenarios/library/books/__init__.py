"""Example books and the market that goes with them."""
