"""A JSON compilation database of what was recorded, for editors and analysers.

The format is clang's: https://clang.llvm.org/docs/JSONCompilationDatabase.html
"""

from __future__ import annotations

import json
import os

from gg.core.jsontext import json_from
from gg.core.thunk import Work
from gg.errors import FormatError
from gg.host.files import write_whole
from gg.light.plain_files import read_plain
from gg.models.drafts import Call
from gg.record.capture import Captured

_MOST = 256 << 20  # bytes of a database
_COMPILES = (Work.COMPILE, Work.ASSEMBLE, Work.PREPROCESS)


class CompilationDatabase:
    """Collects compiles; `write` adds them to what the file says of other sources."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._entries: dict[tuple[str, str], dict[str, object]] = {}

    def saw(self, call: Call, captured: Captured) -> None:
        if captured.draft.work not in _COMPILES:
            return
        directory = os.fsdecode(call.cwd)
        output = os.fsdecode(captured.outputs[0].path)
        for scan in captured.draft.scans:
            for source in scan.sources:
                name = os.fsdecode(source)
                arguments = [os.fsdecode(a) for a in (call.tool.path, *call.argv[1:])]
                entry: dict[str, object] = {
                    "directory": directory,
                    "file": name,
                    "arguments": arguments,
                    "output": output,
                }
                self._entries[(os.path.join(directory, name), output)] = entry

    def write(self) -> None:
        """Entries of earlier runs stay unless the same output was compiled again or their source is gone."""
        for entry in self._earlier():
            key = (os.path.join(str(entry["directory"]), str(entry["file"])), str(entry.get("output", "")))
            if key not in self._entries and os.path.exists(key[0]):
                self._entries[key] = entry
        text = json.dumps([self._entries[k] for k in sorted(self._entries)], indent=1) + "\n"
        write_whole(os.fsencode(self._path), os.fsencode(text))

    def _earlier(self) -> list[dict[str, object]]:
        try:
            found = json_from(read_plain(self._path, _MOST), "compilation database")
        except (OSError, FormatError):
            return []
        entries = found if isinstance(found, list) else []
        return [e for e in entries if isinstance(e, dict) and "directory" in e and "file" in e]
