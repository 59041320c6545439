"""Does what a plugin registers behave as the harness needs it to? For authors of plugins, and for ``findna-bench check NAME``.

In a plugin's own tests::

    from findna_bench.testing import BackboneConformance, check

    class TestMyModel(BackboneConformance):  # every check of an encoder is a test
        model = "my-model@random"

    def test_my_objective() -> None:
        report = check("my-objective")
        assert report.passed, report.text()

A check passes, fails, is skipped for a reason, or only measures something that is no fault either way (what the two strands of a
sequence share, memory).
"""

from findna_bench.testing.check_report import Check, Report
from findna_bench.testing.checking import check, check_model, kinds_of
from findna_bench.testing.encoder_checks import CHECKS, BackboneConformance

__all__ = ["CHECKS", "BackboneConformance", "Check", "Report", "check", "check_model", "kinds_of"]
