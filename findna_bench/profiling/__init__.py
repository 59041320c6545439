"""Time, memory and operations of models, measured in fresh processes and written as tables, pages and plots."""

from findna_bench.profiling.model_profiles import profile_models, profile_objectives

__all__ = ["profile_models", "profile_objectives"]
