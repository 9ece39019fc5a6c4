"""Lesson 7, solved; there are many solutions."""

SMALL = "C.CM:width=8,heads=1,head_dim=16"
MIXED = "C.CP.CPM:width=8,heads=1,head_dim=16"
