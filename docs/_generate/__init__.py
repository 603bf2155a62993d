"""What writes the generated parts of the documentation; no part of the product."""
