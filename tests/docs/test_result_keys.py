"""Every key of a result file is explained where it is declared, from where the reference takes it."""

from __future__ import annotations

import ast
import inspect

from findna_bench.results import schema


def test_every_key_of_a_result_says_what_it_means() -> None:
    classes = [node for node in ast.parse(inspect.getsource(schema)).body if isinstance(node, ast.ClassDef)]
    parts = {
        node.name for node in classes if any(isinstance(base, ast.Name) and base.id == "_Part" for base in node.bases)
    }
    assert {"Result", "Metrics", "Model", "Error"} <= parts
    silent = []
    for node in (node for node in classes if node.name in parts):
        if node.name != "Result" and ast.get_docstring(node) is None:
            silent.append(node.name)
        for line, below in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
                continue
            is_part = isinstance(line.annotation, ast.Name) and line.annotation.id in parts  # explained by its own keys
            if not is_part and not (isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)):
                silent.append(f"{node.name}.{line.target.id}")
    assert silent == []
