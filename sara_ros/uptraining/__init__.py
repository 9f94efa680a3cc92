"""Up-training: convert a trained model to linear attention, then train back what that cost."""
