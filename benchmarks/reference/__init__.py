"""The policy of the reference sample, deployable over a pipeline of the lab."""
