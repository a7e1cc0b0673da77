"""One pass over a corpus: which windows are measured, what is kept, and where."""
