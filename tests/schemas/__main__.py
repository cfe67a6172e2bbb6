"""`python -m tests.schemas` writes docs/events.md anew."""

from tests.schemas.events_page import PAGE, page

PAGE.write_text(page())
