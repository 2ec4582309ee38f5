"""The same inputs in every runtime: who answers alike, how far the others are off, and at which layer they part."""
