"""What we believe vLLM does, as claims."""
