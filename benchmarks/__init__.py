"""What the breaker is worth, measured: against no breaker, and against the reference sample's policy.

``make bench`` stages the same outages under each policy in the lab, and simulates many more. docs/performance.md has
what came of it, and how far it can be trusted.

===================  ================================================================================================
``options``          The command line: what may be asked for, and the rules that refuse the rest.
``scenarios``        The outages that are staged in the lab, as data.
``policies``         What is done about them, as data.
``reference``        The reference sample's policy, written anew, to deploy over a pipeline of the lab.
``reference_lab``    A lab with it in the breaker's place.
``staging``          One scenario under one policy in the lab. Ends in a ``Measurement``.
``figures``          What is measured, and what it comes to. Pure.
``results``          Measurements in files: each is kept as soon as it is there.
``calibration``      The reference policy against figures that were measured of the sample's own state machine.
``sweep``            Many outages, drawn from a seed, in the simulator.
``minimum``          What ``MinimumInvocations`` should be: slow queues against poison messages, simulated.
``floor``            How few calls can fail where CloudWatch has to see the outage first, simulated.
``cost``             What an incident costs on AWS at list price. Pure.
``limits``           What no single machine shows, computed from constants and quotas. Pure.
``aims``             What was to be reached, as ratios to the reference, and whether it was. Pure.
``tables``           All that as tables of docs/performance.md.
``pictures``         The pictures.
===================  ================================================================================================
"""
