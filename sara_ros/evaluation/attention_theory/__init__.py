"""What the theory of linear attention promises, checked by computation."""
