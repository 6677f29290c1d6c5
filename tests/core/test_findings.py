"""Every finding that the source can make has its consequence, in the list and in the page that shows it."""

import ast
from pathlib import Path

import sjplan
from sjplan.core.findings import CONSEQUENCES, Finding

PACKAGE = Path(sjplan.__file__).parent
PAGE = PACKAGE.parent / "docs" / "findings.md"


def codes_made() -> set[str]:
    """First arguments of every Finding(...) in the package; a part that is computed stands as *."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding" and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    found.add(str(code.value))
                elif isinstance(code, ast.JoinedStr):
                    found.add("".join(v.value if isinstance(v, ast.Constant) else "*" for v in code.values))
                elif isinstance(code, ast.BinOp) and isinstance(code.left, ast.Constant):
                    found.add(f"{code.left.value}*")
                else:
                    raise AssertionError(f"{path.name}:{node.lineno}: a code that cannot be read")
    return found


def test_every_code_has_a_consequence_and_every_consequence_a_code() -> None:
    assert codes_made() == set(CONSEQUENCES)


def test_families_share_theirs() -> None:
    for code in ("close-to-iliac_inner", "close-to-canal", "direction-inlet", "ct-motion"):
        assert Finding(code, "note", "text").consequence
    assert Finding("labels-odd", "note", "text").consequence == ""


def test_the_page_lists_them_all() -> None:
    rows = [f"| `{code}` | {consequence} |" for code, consequence in CONSEQUENCES.items()]
    text = PAGE.read_text(encoding="utf-8")
    assert [row for row in rows if row not in text] == []
    assert text.count("| `") == len(rows)
