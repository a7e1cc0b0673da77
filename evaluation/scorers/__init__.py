"""How good an explanation is: one published protocol per file, and versions without its faults."""
