"""What is asked of a trained model on the test split: one file a question, each a judge that adds to the verdict."""
