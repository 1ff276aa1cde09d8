"""A graph of thunks for `dot`: a box a step, an ellipse a file that was there before."""

from __future__ import annotations

import json

from gg.core.thunk import File, OutputOf, Work
from gg.export.steps import Step, StepGraph

_COLOURS = {
    Work.COMPILE: "lightblue",
    Work.ASSEMBLE: "lightcyan",
    Work.LINK: "lightsalmon",
    Work.ARCHIVE: "khaki",
    Work.EDIT: "plum",
    Work.PREPROCESS: "palegreen",
    Work.OTHER: "lightgrey",
}


def graphviz(graph: StepGraph) -> str:
    """Sources of the workspace are shown; the system's files and headers are not, or nobody would see anything."""
    lines = ["digraph build {", '  rankdir="LR";', '  node [fontname="sans-serif", style="filled", fillcolor="white"];']
    sources: dict[str, None] = {}
    for name, step in graph.steps.items():
        text = f"{step.name}\n{step.thunk.work.value}, {step.seconds:.2f} s"
        colour = _COLOURS[step.thunk.work]
        lines.append(f'  "{name.hex()}" [shape="box", fillcolor="{colour}", label={_quoted(text)}];')
        for file in _sources(graph, step):
            sources[file] = None
            lines.append(f'  {_quoted(file)} -> "{name.hex()}";')
        lines += [f'  "{entry.thunk.hex()}" -> "{name.hex()}";' for entry in _one_a_step(step)]
    lines += [f"  {_quoted(source)};" for source in sources]
    return "\n".join([*lines, "}", ""])


def _one_a_step(step: Step) -> list[OutputOf]:
    return list({entry.thunk: entry for entry in step.entries if isinstance(entry, OutputOf)}.values())


def _sources(graph: StepGraph, step: Step) -> list[str]:
    inside = graph.root + b"/"
    return [graph.shown(e.path) for e in step.entries if isinstance(e, File) and e.path.startswith(inside)]


def _quoted(text: str) -> str:
    """A string of the DOT language: only a quotation mark and a backslash are special, a line break is said by \\n."""
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
