"""What an investigation has to beat: explanations of the same features made without experiments."""
