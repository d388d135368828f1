"""The mathematics of what can be measured, one file an observable (`types.Observable`)."""
