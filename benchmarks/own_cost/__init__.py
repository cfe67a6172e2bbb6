"""What the breaker's own code costs: cold starts, the package's size, AWS calls, state transitions, money.

    make bench-cost

===============  ====================================================================================================
module           part
===============  ====================================================================================================
``package``      The deployment package and the runtime's boto3, laid out as on Lambda. Its size zipped.
``recording``    Each function run once in moto on its event: which AWS calls it makes, and what AWS answers.
``replay``       A server that gives these answers again, so that a fresh process can make the same calls.
``fresh_start``  What the fresh process runs: it times the import and the first invocation.
``bare_handler``  What the functions are compared with.
``cold_starts``  Functions and bare handler started in turn, many times.
``incidents``    State transitions and calls of whole incidents, run in process.
``figures``      Medians, ratios, tables, prices. Pure.
===============  ====================================================================================================
"""
