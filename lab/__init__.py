"""The whole application on one machine: an emulated cloud, an outage, and what became of it.

``python -m lab demo`` builds and deploys the repository's own template with the real ``sam build`` and
``sam deploy`` against an emulator (ministack, permissions enforced), sends orders, breaks their consumer, mends it,
and watches the breaker do its work. Every figure it prints is in *real-equivalent* seconds: the emulator runs
``scale`` times faster than AWS would, so a wall second stands for ``scale`` seconds.

``python -m lab chaos`` makes trouble for the breaker itself through a whole outage, then stops, and demands that all
comes right by itself. sam, the lab's own clients, the state machine's engine and the mapping's poller go straight to
the emulated cloud; only the functions' calls pass the proxy. Its minutes are real ones.

The parts, from the outside in:

=====================  ==============================================================================================
``cli``                ``python -m lab``: reads the options, runs what was asked for, says what broke.
``options``            What the lab may be asked for, and the rules that refuse the rest.
``demo``               The demo itself: set up, outage, summary, picture.
``session``            ``Lab``: the one object that tests and the demo use. Start, deploy, clients, outage, stop.
``emulator``           ministack in a process of its own, on a free port, with a root key and nobody's real credentials.
``emulated_cloud``     The program that this process runs: ministack, with its gaps filled.
``leash``              Runs a program so that it and all its children end when the lab does, however the lab ends.
``deployment``         ``sam build``, ``sam deploy``, the stack's outputs and resources.
``template``           Reads template.yaml, with CloudFormation's short tags, and resolves what the alarm refers to.
``metric_math``        CloudWatch's metric math, the small part that an error rate needs. Anything else is an error.
``alarm``              CloudWatch's rules for an alarm: M out of N, missing data, reasons, the event's shape.
``alarm_stand_in``     The loop that applies them to the emulator's metrics and delivers the event.
``schedule_stand_in``  The loop that runs the reconciler as often as its rule's schedule says, at the lab's pace.
``background``         The thread that the loops run in: started, stopped, asked whether it still works.
``event_delivery``     EventBridge's side: which rules match, and what their input transformers make of the event.
``orders``             What is sent: realistic orders, and the sender that keeps a steady rate.
``outage``             The phases: healthy, outage, fixed, drained, closed. Ends in an ``OutageResult``.
``observation``        Samples of circuit, mapping, queues, ledger, metrics and the running step.
``accounting``         Sent minus processed minus waiting minus dead-lettered: what was lost. Pure.
``signals``            How soon each signal opens the circuit, measured one after another.
``chaos``              An outage in which everything else fails, too. Ends in an ``Outcome``: promises kept or not.
``chaos_plan``         What a chaos run does when, drawn from a seed. Pure.
``fault_proxy``        microburst between the functions and the emulated cloud: errors, latency, lost answers.
``ownership``          Who owned the circuit when, by the histories of the executions. Pure.
``timeline``           The live view in a terminal, and plain lines elsewhere.
``summary``            The table at the end.
``picture``            The picture of the outage.
``page``               The same as an HTML page, with what was told. Fetches nothing, escapes everything.
``page_style``         How the page looks.
``mailbox``            Hears the breaker's notifications and events.
=====================  ==============================================================================================

What the emulator cannot show, and what the lab does about it:

* CloudWatch evaluates no metric math there, and an alarm's event cannot be put on the bus. So the lab stands in for
  CloudWatch's evaluator: it reads the alarms from template.yaml and applies each alarm's own expression, period,
  datapoints and missing-data rule, with CloudWatch's delay before a datapoint can be seen (90 s, scaled). An alarm
  with a longer period than a minute is evaluated every minute, on the period that ends then.
* ministack's poller publishes no ``EventCount`` metrics. ``emulated_cloud`` publishes what was delivered and what
  failed, for mappings that were asked for it. A call's ``Duration`` is its time on this machine's clock.
* ministack publishes Lambda's metrics for direct calls alone, and asks for other permissions than AWS to describe an
  alarm, to read a mapping and for batches of SQS. ``emulated_cloud`` puts that right.
* ministack ends a function's process when its handler raises, so each failed call would have to start a new one.
  ``emulated_cloud`` keeps it, as AWS does.
* ministack keeps schedules by the real clock, once a minute at most. ``emulated_cloud`` stops them, and the lab invokes
  the reconciler with the event of its rule, as often as the rule says, divided by the scale.
* ministack changes a mapping at once. ``emulated_cloud`` has a change take 15 s, scaled, in ``Enabling``, ``Disabling``
  or ``Updating``. Meanwhile the mapping refuses other changes and does not poll. A mapping that CloudFormation makes or
  changes is ready at once, because on AWS CloudFormation waits for it.
* The poller runs at most 5 batches at a time and rests for a wall second after a failed batch. So failed calls
  during an outage are fewer than they would be on AWS at the same scale, and a backlog drains at a different rate.
* A handler's exception loses its class on the way to the state machine. ``emulated_cloud`` reads it from the log.
* Functions are warm processes of one machine. A cold start there costs ``scale`` times what it costs on AWS. Their code
  is compiled when it is built.
* Changing a function's configuration ends its processes, also those that are at work: such a call fails, and an order
  that it had just processed is processed again.
* Waits of the state machine are scaled by the emulator, except those for metrics, which the functions work out from the
  stack's scaled metric period; durations held by SQS and Lambda (visibility timeout, function timeout, message delays)
  are scaled by the lab through the stack's parameters.
"""
