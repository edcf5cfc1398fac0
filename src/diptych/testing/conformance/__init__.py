"""The groups of cases that `StoreConformance` is made of."""
