"""Groups of Hydra: the launchers of a sweep."""
