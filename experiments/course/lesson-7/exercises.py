"""Lesson 7, your part: two networks as strings. `make check-lesson-7` looks at them."""

# Exercise 1. Attention and convolution both, in two stages, with at most 24,000 parameters.
# (Options after a colon: width=, heads=, head_dim=. A width is a multiple of 8.)
SMALL = "C.CM:width=16"

# Exercise 2. Three stages and at least six blocks, of at least three kinds (letters), with at most
# 12 million products a picture of 32 x 32.
MIXED = "C.CC.CM:width=16"
