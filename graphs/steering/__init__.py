"""What the user changes: forks, reviews, and the history that they choose from."""
