"""Who reads an explanation and predicts from it: an executable rule, or a language model."""
