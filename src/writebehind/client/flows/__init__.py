"""What each kind of mapping does, as procedures that both worlds perform."""
