from lab.clock import Scale, clock_text
from lab.observation import Change, Sample, change_line, changes_between
from lab.timeline import heartbeat_line, sparkline


def test_changes_between_says_what_changed_and_nothing_else():
    before = Sample(at=10, circuit="CLOSED", mapping="Enabled", alarm="OK", step="")
    after = Sample(at=20, circuit="CLOSED", mapping="Disabled", alarm="OK", step="ConfirmPaused", failed_calls=1)
    assert list(changes_between(before, after)) == [
        Change(20, "mapping", "Enabled -> Disabled"),
        Change(20, "step", "ConfirmPaused"),
        Change(20, "target", "first failed call"),
    ]


def test_lines_give_real_equivalent_minutes():
    assert change_line(Change(125, "circuit", "OPEN")) == "  2:05  circuit  OPEN"
    assert heartbeat_line(Sample(at=60, sent=9, processed=4, visible=3, in_flight=2)).endswith(
        "queue 5, processed 4 of 9, failed calls 0"
    )


def test_sparkline_fits_its_width_and_shows_the_peak():
    assert sparkline([], 10) == ""
    assert sparkline([0, 1, 4], 10) == " ▂█"
    line = sparkline([0.0] * 50 + [7.0] + [0.0] * 49, 20)
    assert len(line) == 20
    assert line.count("█") == 1


def test_scale_converts_both_ways_and_keeps_whole_seconds_above_the_least():
    scale = Scale(10)
    assert (scale.wall(60), scale.real(6)) == (6, 60)
    assert scale.whole_wall_seconds(180) == 18
    assert scale.whole_wall_seconds(3) == 1
    assert clock_text(-65) == "-1:05"
