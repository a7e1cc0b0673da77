"""Running a language model with an SAE: loading, hook points, encoders, tokens."""
