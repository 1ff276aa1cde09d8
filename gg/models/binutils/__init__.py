"""The models of the binary utilities, the linkers and the stand-alone assemblers, by canonical tool name.

Each is loaded when its tool is first called: most builds call three of them.
"""

from __future__ import annotations

from gg.models.drafts import Call, Model, ModelAnswer, Probe


def _ar(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.ar import ar

    return ar(call, probe)


def _ranlib(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.ar import ranlib

    return ranlib(call, probe)


def _objcopy(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.in_place import objcopy

    return objcopy(call, probe)


def _strip(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.in_place import strip

    return strip(call, probe)


def _gas(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.gas import gas

    return gas(call, probe)


def _ld(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.ld import ld

    return ld(call, probe)


def _nasm(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.nasm import nasm

    return nasm(call, probe)


def _yasm(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.nasm import yasm

    return yasm(call, probe)


def _show(call: Call, probe: Probe) -> ModelAnswer:
    from gg.models.binutils.printing import show

    return show(call, probe)


MODELS: dict[str, Model] = {
    "ar": _ar,
    "gcc-ar": _ar,
    "llvm-ar": _ar,
    "ranlib": _ranlib,
    "gcc-ranlib": _ranlib,
    "llvm-ranlib": _ranlib,
    "ld": _ld,
    "ld.bfd": _ld,
    "ld.gold": _ld,
    "ld.lld": _ld,
    "mold": _ld,
    "as": _gas,
    "strip": _strip,
    "llvm-strip": _strip,
    "objcopy": _objcopy,
    "llvm-objcopy": _objcopy,
    "nm": _show,
    "gcc-nm": _show,
    "llvm-nm": _show,
    "objdump": _show,
    "llvm-objdump": _show,
    "readelf": _show,
    "llvm-readelf": _show,
    "size": _show,
    "llvm-size": _show,
    "strings": _show,
    "llvm-strings": _show,
    "nasm": _nasm,
    "yasm": _yasm,
}
