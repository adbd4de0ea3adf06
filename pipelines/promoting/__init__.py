"""What a promotion is made of: the policy, the figures, the decision, and the way to the registry."""
