"""The circuit breaker's own code.

Pure rules (`backoff`, `verdict`, `trip`, `holding`, `filtering`, `findings`, `ramp`, `health`, `lambda_record`,
`settings`) know nothing of AWS: clock and randomness are arguments. Adapters (`circuit_table`, `mapping`,
`source_queue`, `target`, `alarm`, `metrics`, `announcements`) each speak to one AWS service; `pipeline_reader` looks at
a whole pipeline. The step handlers beside this package join the two.
"""
