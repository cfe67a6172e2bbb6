"""``Lab``: the emulated cloud with the application in it, as one object.

For example::

    with Lab(scale=10) as lab:
        lab.deploy({"Recovery": "REJITTER"})
        lab.start_alarm()
        lab.start_schedule()
        result = lab.run_outage(OutagePlan(outage=300))
        assert result.broken_promises() == []
        lab.delete_stack()
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config

from lab.alarm import AlarmDefinition, read_alarm
from lab.alarm_stand_in import CLOUDWATCH_DELAY_SECONDS, AlarmStandIn
from lab.clock import Scale
from lab.deployment import Deployment, Stack, lab_parameters
from lab.emulator import ACCOUNT_ID, MAPPING_CHANGE_SECONDS, REGION, ROOT_KEY, ROOT_SECRET, Emulator
from lab.event_delivery import EventDelivery
from lab.observation import Eyes, Places
from lab.outage import Outage, OutagePlan, OutageResult
from lab.schedule_stand_in import ScheduleStandIn
from lab.template import Resolver, load_template, parameter_values

REPOSITORY = Path(__file__).resolve().parent.parent
LAB_DIR = REPOSITORY / ".lab"
STACK_NAME = "sqs-circuit-breaker-lab"
ALARM_NAME = "lab-error-rate"
ALARM_LOGICAL_ID = "ErrorRateAlarm"
# Those that a stack has only if it was asked for them.
OTHER_ALARMS = ("FailedMessagesAlarm", "SlowTargetAlarm")
SCHEDULE_LOGICAL_ID = "ReconcileRule"
_BUCKET = "lab-artifacts"


class StackNotDeleted(RuntimeError):
    """CloudFormation could not delete the stack."""


class Lab:
    """An emulated cloud of one's own. Use as a context manager: leaving it ends every process.

    Parameters
    ----------
    scale
        How many times faster than AWS it runs. Must divide the alarm's period.
    template
        The template to deploy.
    work_dir
        Where builds, logs and temporary files go. A new directory under ``.lab/runs`` by default. Logs stay, the rest
        is removed at the end.
    mapping_change_seconds
        How long the mapping is ``Enabling``, ``Disabling`` or ``Updating``, in real-equivalent seconds.
    functions_endpoint
        Where the application's functions find AWS, if not at the emulated cloud itself.
    build_dir
        Where the build goes, and stays, for other labs. Nothing is built if one is there.
    """

    def __init__(
        self,
        *,
        scale: int = 10,
        template: Path = REPOSITORY / "template.yaml",
        work_dir: Path | None = None,
        mapping_change_seconds: float = MAPPING_CHANGE_SECONDS,
        functions_endpoint: str | None = None,
        build_dir: Path | None = None,
    ) -> None:
        self.scale = Scale(scale)
        self.template = template
        self.work_dir = work_dir or new_work_dir()
        self.work_dir.mkdir(parents=True, exist_ok=True)
        self.emulator = Emulator(
            self.work_dir,
            self.scale,
            mapping_change_seconds=mapping_change_seconds,
            functions_endpoint=functions_endpoint,
        )
        self._build_dir = build_dir
        self._clients: dict[str, Any] = {}
        self._deployment: Deployment | None = None
        self._stack: Stack | None = None
        # What the outputs of an attached pipeline's own stack say: DeadLetterQueueUrl, LedgerTableName.
        self.pipeline: Mapping[str, str] = {}
        self._alarms: list[AlarmStandIn] = []
        self._schedule: ScheduleStandIn | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the emulated cloud."""
        self.emulator.start()
        self.client("s3").create_bucket(Bucket=_BUCKET)

    def stop(self) -> None:
        """End the stand-ins, the emulated cloud and its functions. Safe to call twice."""
        try:
            self.stop_alarm()
            self.stop_schedule()
        finally:
            self.emulator.stop()
            for left_over in ("build", "tmp"):
                shutil.rmtree(self.work_dir / left_over, ignore_errors=True)
            (self.work_dir / "build.lock").unlink(missing_ok=True)

    def client(self, service: str) -> Any:
        """A boto3 client for the emulated cloud, as its root user. The caller's AWS configuration is not read."""
        if service not in self._clients:
            self._clients[service] = _isolated_session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.emulator.endpoint,
                config=Config(
                    retries={"max_attempts": 3, "mode": "standard"},
                    connect_timeout=5,
                    read_timeout=30,
                    max_pool_connections=20,
                ),
            )
        return self._clients[service]

    def build(self) -> None:
        """Run ``sam build``, unless there is a build. ``deploy`` does it the first time if nobody did."""
        deployment = self._deployments()
        deployment.build()
        self._deployment = deployment

    def _deployments(self) -> Deployment:
        cloudformation = self.client("cloudformation")
        return Deployment(self.template, self.work_dir, self.emulator, cloudformation, build_dir=self._build_dir)

    def deploy(self, parameters: Mapping[str, str] | None = None) -> Stack:
        """Run ``sam deploy``: creates the stack, or updates it.

        Parameters
        ----------
        parameters
            Parameters of the template. They win over those that the lab sets: the runtime, the alarm's name, and
            durations that have to be scaled by hand.
        """
        if self._deployment is None:
            self.build()
        assert self._deployment is not None
        template = load_template(self.template)
        self.make_alarm()
        own = lab_parameters(template, self.scale, ALARM_NAME)
        self._stack = self._deployment.deploy(STACK_NAME, {**own, **(parameters or {})}, _BUCKET)
        return self._stack

    def deploy_beside(self, stack_name: str, parameters: Mapping[str, str]) -> Stack:
        """Deploy one more stack of what ``deploy`` has built. The lab itself goes on with its own."""
        if self._deployment is None:
            raise RuntimeError("nothing is built yet: call deploy() first")
        own = lab_parameters(load_template(self.template), self.scale, ALARM_NAME)
        return self._deployment.deploy(stack_name, {**own, **parameters}, _BUCKET)

    def create_stack(self, stack_name: str, template: Path, parameters: Mapping[str, str]) -> Stack:
        """Create a stack of another template, one that needs no build."""
        return self._deployments().create(stack_name, template, parameters)

    def make_alarm(self) -> None:
        """Make the alarm that the stack is told of: it must exist before a circuit can name it.

        What it measures is known only once the stack is there, so the stand-in completes it. The name of a metric that
        nobody publishes keeps the emulator's own evaluator away from it.
        """
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=ALARM_NAME,
            Namespace="Lab",
            MetricName="NotMeasuredYet",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )

    @property
    def stack(self) -> Stack:
        """The deployed stack: outputs, physical ids, parameters."""
        if self._stack is None:
            raise RuntimeError("nothing is deployed yet: call deploy() first")
        return self._stack

    @property
    def places(self) -> Places:
        """Where the deployed application's parts are."""
        outputs = {**self.pipeline, **self.stack.outputs}
        return Places(
            queue_url=outputs["QueueUrl"],
            dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
            function_name=outputs["TargetFunctionName"],
            ledger_table=outputs["LedgerTableName"],
            mapping_id=outputs["MappingId"],
            state_machine_arn=outputs["StateMachineArn"],
            circuit_table=outputs["CircuitTableName"],
            circuit=outputs["CircuitName"],
        )

    def eyes(self) -> Eyes:
        """The clients that an observer looks through."""
        return Eyes(
            sqs=self.client("sqs"),
            functions=self.client("lambda"),
            tables=self.client("dynamodb"),
            states=self.client("stepfunctions"),
            metrics=self.client("cloudwatch"),
            peek=self.emulator.waiting_messages,
        )

    def _properties(self, logical_id: str, *names: str) -> Any:
        """A resource's properties as template.yaml declares them, resolved for the deployed stack."""
        template = load_template(self.template)
        resolver = Resolver(
            template=template,
            parameters=parameter_values(template, self.stack.parameters),
            resources=self.stack.resources,
            pseudo={
                "AWS::AccountId": ACCOUNT_ID,
                "AWS::Partition": "aws",
                "AWS::Region": REGION,
                "AWS::StackName": self.stack.name,
                "AWS::URLSuffix": "amazonaws.com",
            },
            attributes={
                "Pipeline.FunctionName": self.stack.outputs["TargetFunctionName"],
                "Pipeline.MappingId": self.stack.outputs["MappingId"],
            },
        )
        properties = template["Resources"][logical_id]["Properties"]
        return resolver.resolve({name: properties[name] for name in names} if names else properties)

    def alarm_definition(self, logical_id: str = ALARM_LOGICAL_ID) -> AlarmDefinition:
        """A built-in alarm as template.yaml declares it, resolved for the deployed stack."""
        return read_alarm(self._properties(logical_id))

    def start_schedule(self) -> ScheduleStandIn:
        """Begin to run the reconciler in EventBridge's place, as often as its rule says, divided by the scale."""
        self.stop_schedule()
        self._schedule = ScheduleStandIn(
            self.stack.resources[SCHEDULE_LOGICAL_ID],
            self._properties(SCHEDULE_LOGICAL_ID, "ScheduleExpression")["ScheduleExpression"],
            events=self.client("events"),
            functions=self.client("lambda"),
            scale=self.scale,
        )
        self._schedule.start()
        return self._schedule

    def stop_schedule(self) -> None:
        """Stop running the reconciler."""
        if self._schedule is not None:
            self._schedule.stop()

    def start_alarm(self, *, delay_seconds: float = CLOUDWATCH_DELAY_SECONDS) -> AlarmStandIn:
        """Begin to evaluate the stack's alarms in CloudWatch's place. Returns the one on the error rate.

        Parameters
        ----------
        delay_seconds
            How long after its period a datapoint can be seen, in real-equivalent seconds.
        """
        self.stop_alarm()
        names = {ALARM_LOGICAL_ID: ALARM_NAME}
        names |= {name: self.stack.resources[name] for name in OTHER_ALARMS if name in self.stack.resources}
        self._alarms = [
            AlarmStandIn(
                self.alarm_definition(logical_id),
                name,
                cloudwatch=self.client("cloudwatch"),
                delivery=EventDelivery(self.client("events"), self.client("stepfunctions")),
                scale=self.scale,
                delay_seconds=delay_seconds,
            )
            for logical_id, name in names.items()
        ]
        for alarm in self._alarms:
            alarm.start()
        return self._alarms[0]

    def stop_alarm(self) -> None:
        """Stop evaluating. The alarms keep their states."""
        for alarm in self._alarms:
            alarm.stop()

    def alarm_state(self) -> str:
        """ALARM if any of the alarms is, else the state of the one on the error rate, "-" before ``start_alarm``."""
        states = [alarm.state.value for alarm in self._alarms]
        return "ALARM" if "ALARM" in states else next(iter(states), "-")

    def run_outage(self, plan: OutagePlan, on_tick: Callable[[Outage], None] | None = None) -> OutageResult:
        """Stage an outage and wait until its backlog is drained."""
        return Outage(self, plan, on_tick).run()

    def set_should_error(self, failing: bool, function_name: str | None = None) -> None:  # noqa: FBT001 - a yes or no
        """Break or mend the protected target, or another."""
        self.set_trouble(str(failing).lower(), function_name)

    def set_trouble(self, trouble: str, function_name: str | None = None) -> None:
        """Give the protected target, or another, a trouble, "false" for none. Its other environment variables stay."""
        functions, name = self.client("lambda"), function_name or self.places.function_name
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, "SHOULD_ERROR": trouble}}
        )
        # boto3's waiter sleeps for whole seconds, which are long here.
        while functions.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "InProgress":
            time.sleep(0.05)

    def mapping_state(self) -> str:
        """The mapping's state now. Works after the circuit is gone, as long as the mapping is there."""
        state: str = self.client("lambda").get_event_source_mapping(UUID=self.places.mapping_id)["State"]
        return state

    def delete_stack(self, name: str | None = None, *, within_seconds: float = 60) -> None:
        """Delete the application's stack, or another, and wait until it is gone.

        Raises
        ------
        StackNotDeleted
            With CloudFormation's reason.
        """
        cloudformation, name = self.client("cloudformation"), name or self.stack.name
        stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=name)
        deadline = time.monotonic() + within_seconds
        while True:
            # By its id: a deleted stack cannot be found by its name any more.
            stack = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
            status = stack["StackStatus"]
            if status == "DELETE_COMPLETE":
                return
            if status == "DELETE_FAILED" or time.monotonic() > deadline:
                raise StackNotDeleted(f"{name} is {status}: {stack.get('StackStatusReason', 'no reason given')}")
            time.sleep(0.2)

    def require_working(self) -> None:
        """Raise if the emulated cloud or a stand-in has ended by itself."""
        self.emulator.require_running()
        for stand_in in (*self._alarms, self._schedule):
            if stand_in is not None:
                stand_in.require_working()


def new_work_dir() -> Path:
    """A directory that no other run has, even one started in the same second."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return LAB_DIR / "runs" / f"{stamp}-{os.getpid()}"


def _isolated_session() -> boto3.Session:
    """A session that reads neither AWS_PROFILE nor the configuration files of the person who runs the lab."""
    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    return boto3.Session(
        botocore_session=core,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_SECRET,
        region_name=REGION,
    )
