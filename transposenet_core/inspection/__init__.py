"""What a network looks at, and what it expects to see."""
