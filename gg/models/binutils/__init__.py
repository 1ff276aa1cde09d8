"""The models of the binary utilities, the linkers and the stand-alone assemblers, by canonical tool name."""

from __future__ import annotations

from gg.models.base import Model
from gg.models.binutils.ar import ar, ranlib
from gg.models.binutils.edit import objcopy, strip
from gg.models.binutils.gas import gas
from gg.models.binutils.ld import ld
from gg.models.binutils.nasm import nasm, yasm
from gg.models.binutils.show import show

MODELS: dict[str, Model] = {
    "ar": ar,
    "gcc-ar": ar,
    "llvm-ar": ar,
    "ranlib": ranlib,
    "gcc-ranlib": ranlib,
    "llvm-ranlib": ranlib,
    "ld": ld,
    "ld.bfd": ld,
    "ld.gold": ld,
    "ld.lld": ld,
    "mold": ld,
    "as": gas,
    "strip": strip,
    "llvm-strip": strip,
    "objcopy": objcopy,
    "llvm-objcopy": objcopy,
    "nm": show,
    "gcc-nm": show,
    "llvm-nm": show,
    "objdump": show,
    "llvm-objdump": show,
    "readelf": show,
    "llvm-readelf": show,
    "size": show,
    "llvm-size": show,
    "strings": show,
    "llvm-strings": show,
    "nasm": nasm,
    "yasm": yasm,
}
