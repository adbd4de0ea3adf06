"""Models judged side by side: who they are, what they do on the same test rows, and which differences are real."""
