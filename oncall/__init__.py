"""For whoever is on call: looks at a deployed breaker, and changes nothing."""
