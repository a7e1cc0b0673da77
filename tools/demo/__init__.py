"""The demo subject: a small language model and its SAE, and the script that trained them."""
