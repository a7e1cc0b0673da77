"""Language models on OpenAI-compatible servers: questions go in, validated replies come out."""
