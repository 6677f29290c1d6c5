"""What is exactly known of a phantom, read off its shapes."""
