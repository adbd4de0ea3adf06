"""What is measured, on whole splits, in model space."""
