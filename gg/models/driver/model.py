"""The model of the compiler drivers: gcc, g++, cc, c++, c89, c99, cpp, clang, clang++.

One call is answered in three steps. The command line is taken apart (`parse`). Reasons to run it for real are looked
for: it is a question or a trial, a source is not there, nobody has modelled an option. Then the draft is put together
from parts that each know one thing: outputs, the dependency file, headers, the link.

-march=native and its kin stay in argv. The processor's options written out in their place give the same code, but then
GCC passes each --param on at another place, and DW_AT_producer, -frecord-gcc-switches and LTO sections record that. So
the meaning goes into the environment: as GG_NATIVE, where it is part of the thunk's identity, and as GG_ELSEWHERE in
the form in which a compiler on another machine can be told of it, if there is such a form (`this_cpu`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gg.light.regex import regex
from gg.models.binutils.common import expand
from gg.models.binutils.options import Unmodelled
from gg.models.drafts import Call, ModelAnswer, Probe, RunReal
from gg.models.driver.drafting import VERSION, Drafting, DriverCall, ProbeMemory, check_call
from gg.models.driver.flags import CLANG, GCC
from gg.models.driver.parse import parse
from gg.models.driver.refusals import MustRunReal, question, run_real
from gg.models.driver.toolchain_facts import Facts, Toolchain
from gg.models.driver.variables import kept, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_WINDOWS = regex(rb"mingw|cygwin|msys")


class DriverModel:
    """The model. It remembers what it learnt through the last probe that it was given; a session has one probe."""

    def __init__(self, toolchain: Toolchain | None = None) -> None:
        self._toolchain = toolchain
        self._memory: ProbeMemory | None = None

    def __call__(self, call: Call, probe: Probe) -> ModelAnswer:
        why = refusal(call, probe)
        if why:
            return RunReal(why)
        try:
            args, responses = expand(call.argv[1:], call.cwd, probe)
        except Unmodelled as reason:
            return RunReal(str(reason))
        return self._answer(call, probe, args, responses)

    def _answer(self, call: Call, probe: Probe, args: Sequence[bytes], responses: Sequence[bytes]) -> ModelAnswer:
        name = call.tool.name
        cplusplus, cpp = name in ("g++", "c++", "clang++"), name in ("cpp", "clang-cpp")
        # What needs no facts comes first: a question is answered without asking the compiler another one.
        command = parse(args, CLANG if name.startswith("clang") else GCC, cplusplus=cplusplus, cpp=cpp)
        asked = question(command, call)
        if asked is not None:
            return run_real(asked, command, call, probe)
        env = kept(call.env)
        facts = self._facts(call, env, probe)
        if facts.flavour not in (GCC, CLANG):
            return RunReal("neither GCC nor clang")
        if facts.flavour != command.flavour:
            command = parse(args, facts.flavour, cplusplus=cplusplus, cpp=cpp)
        command.windows = _WINDOWS.search(facts.target) is not None and facts.flavour == GCC
        try:
            driven, memory = DriverCall(call, probe, command, facts, env, responses), self._memory_of(probe)
            check_call(driven, memory)
            return Drafting(driven, memory, self._tools).draft()
        except MustRunReal as reason:
            return run_real(reason, command, call, probe)

    def _facts(self, call: Call, env: Mapping[bytes, bytes], probe: Probe) -> Facts:
        """The facts about the called program, remembered for each PATH and set of variables that thunks keep."""
        memory = self._memory_of(probe)
        key = (call.tool.path, call.env.get(b"PATH"), tuple(env.items()))
        found = memory.facts.get(key)
        if found is None:
            found = memory.facts[key] = self._tools.facts(probe, call.tool.path, call.env)
        return found

    @property
    def _tools(self) -> Toolchain:
        if self._toolchain is None:
            from gg.models.driver.real_toolchain import RealToolchain

            self._toolchain = RealToolchain()
        return self._toolchain

    def _memory_of(self, probe: Probe) -> ProbeMemory:
        epoch = getattr(probe, "epoch", 0)
        if self._memory is None or self._memory.probe is not probe or self._memory.epoch != epoch:
            self._memory = ProbeMemory(probe, epoch)
        return self._memory


__all__ = ["VERSION", "DriverModel", "Facts", "Toolchain"]
