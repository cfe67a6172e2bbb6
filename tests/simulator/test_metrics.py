from simulator.metrics import Alarm, Metrics
from simulator.pipeline import BreakerSettings
from simulator.rules import CLOUDWATCH_DELAY_SECONDS, AlarmState


def make_alarm(metrics: Metrics) -> Alarm:
    return Alarm(BreakerSettings().alarm(), metrics, delay=CLOUDWATCH_DELAY_SECONDS)


def test_alarm_after_a_bad_minute_rings_once_its_datapoint_can_be_seen() -> None:
    metrics = Metrics()
    alarm = make_alarm(metrics)
    metrics.count(70, calls=10, failed=10)
    assert not alarm.evaluate(120 + CLOUDWATCH_DELAY_SECONDS - 1)
    assert alarm.evaluate(120 + CLOUDWATCH_DELAY_SECONDS)
    assert alarm.state is AlarmState.ALARM


def test_alarm_below_the_minimum_volume_stays_quiet() -> None:
    metrics = Metrics()
    alarm = make_alarm(metrics)
    metrics.count(70, calls=4, failed=4)
    assert not alarm.evaluate(300)
    assert alarm.state is AlarmState.OK


def test_alarm_without_calls_returns_to_ok() -> None:
    metrics = Metrics()
    alarm = make_alarm(metrics)
    metrics.count(70, calls=10, failed=10)
    assert alarm.evaluate(210)
    assert not alarm.evaluate(1000)
    assert alarm.state is AlarmState.OK


def test_alarm_with_a_long_period_is_evaluated_every_minute() -> None:
    metrics = Metrics()
    alarm = Alarm(BreakerSettings({"AlarmPeriodSeconds": "300"}).alarm(), metrics, delay=0.0)
    for minute in range(20):
        metrics.count(60 * minute, calls=10, failed=10 if minute >= 7 else 0)
        # At the end of the eleventh minute four of the last five have failed: 80 %.
        assert alarm.evaluate(60 * (minute + 1)) == (minute == 10)
