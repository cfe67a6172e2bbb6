"""The custom widget of the dashboard: how every circuit stands. Reads, and changes nothing."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from breaker import clients, clock, environment
from breaker.circuit_table import CircuitTable
from breaker.overview import explain, look_at_most
from breaker.time_budget import TimeBudget
from breaker.widget import MAX_CIRCUITS, as_html, as_sentence

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# One circuit is looked at by five calls, which together seldom take a second.
_ONE_CIRCUIT_SECONDS = 10

DOCUMENTATION = """\
## Circuits of the circuit breaker

Shows how every circuit of one breaker stands: its state, since when and why, the next probe, the messages in its queue
and the age of the oldest, what happens next and what to do. Those that want somebody come first.

It reads and changes nothing. It takes no parameters, and follows the dashboard's light or dark theme.

Whoever looks at the dashboard needs the permission `lambda:InvokeFunction` on this function.
"""


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> str:
    """Show the circuits.

    Input
        What CloudWatch sends for a custom widget: `widgetContext`, whose `theme` is "light" or "dark"; or `describe`,
        true when somebody asks for the widget's documentation.
    Output
        HTML; Markdown for `describe`. Where AWS refuses to show the table, a sentence says so.
    """
    if event.get("describe"):
        return DOCUMENTATION
    widget = event.get("widgetContext")
    theme = str(widget.get("theme")) if isinstance(widget, dict) else ""
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    try:
        overview = look_at_most(table, MAX_CIRCUITS, time=TimeBudget(context, _ONE_CIRCUIT_SECONDS))
    except (ClientError, BotoCoreError) as error:
        logger.exception("the circuits could not be read")
        return as_sentence(f"The circuits cannot be shown: {explain(error)}.", theme=theme)
    for one in overview.seen:
        if one.trouble:
            logger.warning("not looked at", extra={"circuit": one.circuit, "trouble": one.trouble})
    return as_html(overview, now=clock.now(), theme=theme)
