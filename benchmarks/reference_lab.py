"""A lab in which the reference policy stands in the breaker's place, over the same example pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from lab.alarm import read_alarm
from lab.alarm_stand_in import CLOUDWATCH_DELAY_SECONDS, AlarmStandIn
from lab.deployment import Deployment, DeploymentFailed, Stack, runtime_name
from lab.emulator import ACCOUNT_ID, REGION
from lab.event_delivery import EventDelivery
from lab.observation import Places
from lab.session import Lab
from lab.template import Resolver, load_template, parameter_values

TEMPLATE = Path(__file__).resolve().parent / "reference" / "template.yaml"
STACK_NAME = "reference-policy"
_ALARM = "ErrorRateAlarm"
_BUCKET = "lab-artifacts"
# Of a mapping in the emulator.
_BATCHES_AT_ONCE = 5


class ReferenceLab(Lab):
    """The example pipeline with the breaker switched off, and the reference policy deployed over it by sam."""

    _reference: Stack | None = None

    def deploy(self, parameters: Mapping[str, str] | None = None) -> Stack:
        """Deploy both stacks."""
        stack = super().deploy({**(parameters or {}), "Mode": "OFF"})
        work_dir = self.work_dir / "reference"
        work_dir.mkdir(exist_ok=True)
        build_dir = None if self._build_dir is None else self._build_dir.with_name(STACK_NAME)
        deployment = Deployment(TEMPLATE, work_dir, self.emulator, self.client("cloudformation"), build_dir=build_dir)
        deployment.build()
        queue = {"QueueUrl": stack.outputs["QueueUrl"]}
        attributes = self.client("sqs").get_queue_attributes(**queue, AttributeNames=["QueueArn", "VisibilityTimeout"])
        self._reference = deployment.deploy(
            STACK_NAME,
            {
                "TargetFunctionName": stack.outputs["TargetFunctionName"],
                **queue,
                "QueueArn": attributes["Attributes"]["QueueArn"],
                "MappingId": stack.outputs["MappingId"],
                "QueueVisibilityTimeoutSeconds": attributes["Attributes"]["VisibilityTimeout"],
                "Scale": str(self.scale.factor),
                "Runtime": runtime_name(),
            },
            _BUCKET,
        )
        self._start_functions(stack.outputs["QueueUrl"])
        return stack

    @property
    def reference(self) -> Stack:
        """The reference policy's own stack."""
        if self._reference is None:
            raise RuntimeError("nothing is deployed yet: call deploy() first")
        return self._reference

    @property
    def places(self) -> Places:
        """The pipeline's parts, with the reference policy's state machine."""
        return replace(super().places, state_machine_arn=self.reference.outputs["StateMachineArn"])

    def start_alarm(self, *, delay_seconds: float = CLOUDWATCH_DELAY_SECONDS) -> AlarmStandIn:
        """Begin to evaluate the reference policy's alarm, and no other."""
        self.stop_alarm()
        template = load_template(TEMPLATE)
        resolver = Resolver(
            template=template,
            parameters=parameter_values(template, self.reference.parameters),
            resources=self.reference.resources,
            pseudo={"AWS::AccountId": ACCOUNT_ID, "AWS::Partition": "aws", "AWS::Region": REGION},
        )
        alarm = AlarmStandIn(
            read_alarm(resolver.resolve(template["Resources"][_ALARM]["Properties"])),
            self.reference.resources[_ALARM],
            cloudwatch=self.client("cloudwatch"),
            delivery=EventDelivery(self.client("events"), self.client("stepfunctions")),
            scale=self.scale,
            delay_seconds=delay_seconds,
        )
        self._alarms = [alarm]
        alarm.start()
        return alarm

    def _start_functions(self, queue_url: str) -> None:
        """Have the functions start now: on AWS an integration needs no start, and that of a function is short.

        A start that outlasts the visibility timeout would have the re-jitter copy messages twice.
        """
        request = {"call": "sqs:GetQueueUrl", "request": {"QueueName": queue_url.rsplit("/", 1)[-1]}}
        outputs = self.reference.outputs
        calls = [(outputs["CallAwsFunctionName"], request)]
        calls += [(outputs["RejitterFunctionName"], {"Records": []})] * _BATCHES_AT_ONCE
        functions = self.client("lambda")
        with ThreadPoolExecutor(len(calls)) as pool:
            for answer in pool.map(
                lambda call: functions.invoke(FunctionName=call[0], Payload=json.dumps(call[1])), calls
            ):
                if "FunctionError" in answer:
                    raise DeploymentFailed(f"a function of the reference policy fails: {answer['Payload'].read()}")
