"""What fills the body: density of bone, soft tissue, metal, and what a scanner makes of it."""
