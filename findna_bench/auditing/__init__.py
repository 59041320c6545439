"""The audit: duplicates, near-duplicates, overlap, shortcuts, and what they say about a task's score."""

from findna_bench.auditing.audit_report import AuditReport
from findna_bench.auditing.auditing import audit_rows, audit_tables, audit_task
from findna_bench.relatedness.rows import Rows, rows_from_intervals, rows_from_table

__all__ = ["AuditReport", "Rows", "audit_rows", "audit_tables", "audit_task", "rows_from_intervals", "rows_from_table"]
