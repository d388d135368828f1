"""Explicit Runge-Kutta methods: one file a method, and how they choose and judge a step."""
