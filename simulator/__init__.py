"""What an outage would do to a pipeline: queue, poller, alarm, target and breaker, second by second, without AWS.

The breaker's own pure rules are run, not imitated: ``rules`` imports them, and reads every default from the template,
the settings' schema and the state machine's file. All the rest is a model, and docs/simulator.md says how good it is.

===================  ================================================================================================
``options``          The command line: what may be asked for, and the rules that refuse the rest.
``rules``            The project's own rules and defaults. The only door to them.
``pipeline``         What is simulated: the pipeline, the outage, and what the breaker is told.
``message_queue``    Messages by how often they were received: visible, hidden, held, processed, dead-lettered.
``poller``           Lambda's poller and the mapping's switch. Two profiles: AWS's, and the lab's.
``target``           The function and what stands behind it: capacity, outage, collapse.
``metrics``          Calls by minute, and the alarm that looks at them.
``policies``         No breaker, this project's, and the reference sample's, as processes that wait.
``world``            Puts them together and lets time pass. Ends in a ``Run``.
``figures``          What a run comes to.
``recommendation``   Simulates alternatives, and says which settings to choose and why.
``report``           Tables for a terminal.
``picture``          The picture.
``lab_runs``         The same outages in the lab.
``agreement``        How far the simulator is from the lab.
===================  ================================================================================================
"""
