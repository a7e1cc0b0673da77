"""The instruments: what can be measured, asked and stored."""
