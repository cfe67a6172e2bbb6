"""Compares what is written of a circuit with what is, and repairs it. Never acts where the owner is running.

Whatever kills an execution, its incident is passed on to a successor. To reconcile twice, or two at once, is harmless.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clock, source_queue
from breaker.alarm import any_rings
from breaker.announcements import Announcement, Change, announce, tell_state
from breaker.changes import change_circuit
from breaker.circuit_table import (
    GAVE_UP_ANNOUNCED,
    NEAR_RETENTION_ANNOUNCED,
    REMOVAL_PREFIX,
    CircuitState,
    CircuitTable,
    Record,
)
from breaker.errors import CircuitTakenOver
from breaker.health import Health, judge
from breaker.incident_report import report
from breaker.mapping import read_mapping
from breaker.metrics import Metrics, health_rule
from breaker.ownership import RUNNING, execution_status
from breaker.retention import NEAR_RETENTION
from breaker.succession import name_successor, start_successor
from breaker.toll import read_toll

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

logger = Logger()

# An incident whose successors fail at once must not be resumed at once for ever. The schedule goes on trying.
_EARLY_AGAIN_AFTER = timedelta(minutes=15)


class Finding(StrEnum):
    """What the reconciler found, and did."""

    NOTHING = "NOTHING"
    OWNED = "OWNED"
    TOO_EARLY = "TOO_EARLY"
    BEING_REMOVED = "BEING_REMOVED"
    LEFT_PAUSED = "LEFT_PAUSED"
    RESUMED = "RESUMED"
    RELEASED = "RELEASED"
    TRIPPED = "TRIPPED"


@dataclass(frozen=True)
class Reconciler:
    """Reconciles circuits, one at a time.

    Attributes
    ----------
    early
        True where a failed execution started this run, not the schedule.
    """

    table: CircuitTable
    stepfunctions: "SFNClient"
    functions: "LambdaClient"
    cloudwatch: "CloudWatchClient"
    sqs: "SQSClient"
    state_machine: str
    early: bool = False

    def reconcile(self, record: Record) -> Finding:
        """Repair one circuit, and write its state as a metric. Returns what was found."""
        tell_state(record.circuit.name, record.state.value)
        if record.owner.startswith(REMOVAL_PREFIX):
            return Finding.BEING_REMOVED
        try:
            return self._repair(record)
        except CircuitTakenOver:
            logger.info("somebody else was faster", extra={"circuit": record.circuit.name})
            return Finding.OWNED

    def warn_of_retention(self, record: Record) -> None:
        """Announce, once an incident, that the oldest message nears the end of the queue's retention.

        This is said beside the owner, which keeps the pipeline paused and may do so for longer than SQS keeps messages.
        """
        if record.state is CircuitState.CLOSED or record.incident.get(NEAR_RETENTION_ANNOUNCED):
            return
        age = Metrics(self.cloudwatch, record.circuit).age_of_oldest_message(now=clock.now().timestamp())
        retention = source_queue.retention_seconds(self.sqs, record.circuit.queue_url)
        if age < NEAR_RETENTION * retention:
            return
        left = max(0, round((retention - age) / 3600))
        self._announce_beside(
            record,
            Change.NEAR_RETENTION,
            f"SQS deletes the oldest message in about {left} hours; it is {round(age / 3600)} hours old",
            note=NEAR_RETENTION_ANNOUNCED,
        )

    def _repair(self, record: Record) -> Finding:
        status = execution_status(self.stepfunctions, record.owner) if record.owner else "gone"
        if status == RUNNING:
            return Finding.OWNED
        if record.state is CircuitState.CLOSED and not record.intent:
            if record.owner:
                self._release(record, status)
                return Finding.RELEASED
            return self._trip_if_errors_go_on(record)
        if self._gave_up(record):
            if not record.incident.get(GAVE_UP_ANNOUNCED):
                details = {"then": "STAY_OPEN", "report": self._report(record)}
                self._announce_beside(record, Change.GAVE_UP, record.reason, note=GAVE_UP_ANNOUNCED, details=details)
            return Finding.LEFT_PAUSED
        return self._resume(record, status)

    def _gave_up(self, record: Record) -> bool:
        """True where the mapping stays disabled by its owner's choice. One that somebody enabled is a successor's."""
        return (
            record.state is CircuitState.OPEN
            and record.incident.get("outcome") == "GAVE_UP"
            and record.circuit.settings["OnGiveUp"] == "STAY_OPEN"
            and read_mapping(self.functions, record.circuit.mapping_id).is_off
        )

    def _report(self, record: Record) -> dict[str, Any]:
        now = clock.now()
        toll = read_toll(record.incident, record.circuit, self.cloudwatch, now)
        return report(record.incident, circuit=record.circuit.name, outcome="GAVE_UP", toll=toll, now=now, over=False)

    def _resume(self, record: Record, status: str) -> Finding:
        successor = record.successor
        status_of_successor = execution_status(self.stepfunctions, successor) if successor else "gone"
        if status_of_successor == RUNNING:
            return Finding.OWNED
        if not successor or status_of_successor != "gone":
            if self.early and self._resumed_lately(record):
                return Finding.TOO_EARLY
            successor = name_successor(
                self.table,
                record,
                state_machine=self.state_machine,
                change=Change.RESUMED,
                reason=f"the incident has no running owner any more, its last one is {status}",
                sets={"incident.resumed_at": clock.iso(clock.now())},
            )
        start_successor(self.stepfunctions, record, successor, state_machine=self.state_machine)
        return Finding.RESUMED

    @staticmethod
    def _resumed_lately(record: Record) -> bool:
        resumed_at = record.incident.get("resumed_at")
        return resumed_at is not None and clock.now() - clock.parse(resumed_at) < _EARLY_AGAIN_AFTER

    def _release(self, record: Record, status: str) -> None:
        change_circuit(
            self.table,
            record,
            Change.STAYED_CLOSED,
            owner=record.owner,
            reason=f"an execution that had begun to open the circuit is {status}; it had changed nothing",
            removes=["owner", "successor", "incident"],
        )

    def _trip_if_errors_go_on(self, record: Record) -> Finding:
        """Open a circuit one of whose alarms rings, but whose change to ALARM is over or was lost."""
        settings, now = record.circuit.settings, clock.now().timestamp()
        if settings["Mode"] != "ACTIVE" or not any_rings(self.cloudwatch, settings["AlarmNames"]):
            return Finding.NOTHING
        rule = health_rule(record.circuit)
        # What was before the last incident's end is that incident's, and what is older than need be tells nothing new.
        closed_at = record.last_incident.get("summary", {}).get("closed_at")
        began = max(
            now - rule.settle_seconds - 2 * rule.period_seconds,
            clock.parse(closed_at).timestamp() if closed_at else 0,
        )
        judgement = judge(
            Metrics(self.cloudwatch, record.circuit).periods(began=began, now=now),
            rule,
            began=began,
            now=now,
            enough_periods=settings["HealthPeriods"],
        )
        if judgement.health is not Health.BAD or not read_mapping(self.functions, record.circuit.mapping_id).is_on:
            return Finding.NOTHING
        self._start_trip(record, judgement.reason, number=int(now // rule.period_seconds))
        return Finding.TRIPPED

    def _start_trip(self, record: Record, reason: str, *, number: int) -> None:
        try:
            self.stepfunctions.start_execution(
                stateMachineArn=self.state_machine,
                # The same name from two reconcilers at once, so that one execution is started.
                name=f"{record.circuit.name}-errors-go-on-{number}",
                input=json.dumps({"circuit": record.circuit.name, "errors_go_on": reason}),
            )
        except self.stepfunctions.exceptions.ExecutionAlreadyExists:
            logger.info("tripped before", extra={"circuit": record.circuit.name})

    def _announce_beside(
        self, record: Record, change: Change, reason: str, *, note: str, details: Mapping[str, Any] | None = None
    ) -> None:
        """Announce for an incident that somebody else owns, or nobody. Noted only once it was sent."""
        incident = record.incident["id"]
        sequence = self.table.next_sequence(record.circuit.name, incident=incident)
        if sequence is None:
            return
        state = record.state.value
        name = record.circuit.name
        if announce(Announcement(name, incident, sequence, change, state, state, reason, dict(details or {}))):
            self.table.note(record.circuit.name, note, incident=incident)
