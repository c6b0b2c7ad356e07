"""Why there is no report."""


class ReportError(RuntimeError):
    """A report that cannot be made; the message names the remedy."""
