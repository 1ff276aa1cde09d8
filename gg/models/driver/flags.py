"""The options of the compiler drivers, as data: how each is spelled, where its value stands, what it does.

`ROWS` is the whole knowledge. The spellings are those of GCC 12 (`gcc --help=common,driver,c,c++`, gcc/common.opt,
gcc/c-family/c.opt and the option index of its manual) and clang 14 (clang/include/clang/Driver/Options.td); newer ones
were added where they are known. Families (`-f…`, `-m…`, `-W…`, `-O…`, `-g…`) are rows with a short joined spelling; the
longest spelling that fits wins, so exceptions simply stand beside their family. What fits no row is unknown, and the
call runs for real.
"""

from __future__ import annotations

from enum import Enum, Flag, auto

from gg.light.slotted import slotted


class ValuePlace(Enum):
    """Where the value of an option stands."""

    NONE = auto()  # -c
    JOINED = auto()  # -std=c99, -O2; the value may be empty
    SEPARATE = auto()  # -Xlinker X
    BOTH = auto()  # -Idir and -I dir
    EQUALS = auto()  # --sysroot=DIR and --sysroot DIR


class Effect(Enum):
    """What an option does to the answer. The handlers are in `gg.models.driver.handlers`."""

    NEUTRAL = auto()  # changes the bytes, not the files
    # what to do
    COMPILE = auto()
    ASSEMBLY = auto()
    PREPROCESS = auto()
    QUESTION = auto()  # only asks: RunReal, a probe
    REAL = auto()  # not modelled: RunReal
    MODULES = auto()
    VERBOSE = auto()
    OUTPUT = auto()
    LANGUAGE = auto()
    EMIT_LLVM = auto()
    # the preprocessor
    INCLUDE = auto()
    QUOTE = auto()
    SYSTEM = auto()
    SYSTEM_AFTER = auto()
    AFTER = auto()
    PREFIX = auto()
    WITH_PREFIX = auto()
    WITH_PREFIX_BEFORE = auto()
    SYSROOT = auto()
    FORCED = auto()
    INCLUDE_PCH = auto()
    DEFINE = auto()
    # dependency files
    MD = auto()
    MMD = auto()
    MF = auto()
    MT = auto()
    MQ = auto()
    MP = auto()
    # through to the parts
    TO_PREPROCESSOR = auto()
    TO_PREPROCESSOR_LIST = auto()
    TO_ASSEMBLER = auto()
    TO_ASSEMBLER_LIST = auto()
    TO_LINKER = auto()
    TO_LINKER_LIST = auto()
    TO_CC1 = auto()
    # linking
    LIBRARY = auto()
    LIBRARY_DIR = auto()
    LINK_WORD = auto()  # handed to the linker as it stands
    LINK_PAIR = auto()  # the same, with its value as the next word
    RELOCATABLE = auto()
    LTO = auto()
    NO_LTO = auto()
    # files beside the main output
    NOTES = auto()
    NOTES_NAME = auto()
    SAVE_TEMPS = auto()
    SPLIT_DWARF = auto()
    NO_SPLIT_DWARF = auto()
    STACK_USAGE = auto()
    TIME_TRACE = auto()
    AUX_INFO = auto()
    CALLGRAPH = auto()
    # further inputs
    INPUT = auto()
    PLUGIN = auto()
    SPECS = auto()
    PROFILE_USE = auto()
    PROFILE_DIR = auto()
    PROFILE_MAKE = auto()
    AUTO_PROFILE = auto()
    CLANG_PROFILE = auto()
    TOOL_DIR = auto()
    NATIVE = auto()
    CHARSET = auto()
    INTEGRATED_AS = auto()
    NO_INTEGRATED_AS = auto()


class Concerns(Flag):
    """Whom else an option concerns."""

    NONE = 0
    HEADERS = auto()  # changes the compiler's own include directories
    LINK = auto()  # changes the driver's own part of a link
    TOOLS = auto()  # changes which programs run
    DROP = auto()  # left out when the compiler is asked for a source's dependencies


H, L, D = Concerns.HEADERS, Concerns.LINK, Concerns.DROP
HL = H | L
HLT = HL | Concerns.TOOLS
GCC, CLANG = "gcc", "clang"


@slotted()
class FlagRow:
    """Options that behave alike. `only`: the flavour that knows them, both if empty."""

    effect: Effect
    arity: ValuePlace
    spellings: str
    marks: Concerns = Concerns.NONE
    only: str = ""


_ = Effect
ROWS: tuple[FlagRow, ...] = (
    # What to do
    FlagRow(_.COMPILE, ValuePlace.NONE, "-c --compile", D),
    FlagRow(_.ASSEMBLY, ValuePlace.NONE, "-S --assemble", D),
    FlagRow(_.PREPROCESS, ValuePlace.NONE, "-E --preprocess", D),
    FlagRow(_.OUTPUT, ValuePlace.BOTH, "-o", D),
    FlagRow(_.OUTPUT, ValuePlace.EQUALS, "--output", D),
    FlagRow(_.LANGUAGE, ValuePlace.BOTH, "-x"),
    FlagRow(_.LANGUAGE, ValuePlace.EQUALS, "--language"),
    FlagRow(
        _.QUESTION,
        ValuePlace.NONE,
        "-### --version -version --help -Q -dumpversion -dumpfullversion -dumpmachine -dumpspecs",
    ),
    FlagRow(
        _.QUESTION,
        ValuePlace.NONE,
        "--target-help -fsyntax-only -M -MM --dependencies --user-dependencies -dumpreleasetype",
    ),
    FlagRow(_.QUESTION, ValuePlace.JOINED, "--help= --print- -print- --completion="),
    FlagRow(_.QUESTION, ValuePlace.NONE, "-help --help-hidden --autocomplete --analyze -verify-pch", only=CLANG),
    FlagRow(_.QUESTION, ValuePlace.JOINED, "--autocomplete=", only=CLANG),
    FlagRow(_.VERBOSE, ValuePlace.NONE, "-v --verbose"),
    FlagRow(_.REAL, ValuePlace.BOTH, "-wrapper"),
    FlagRow(
        _.REAL,
        ValuePlace.SEPARATE,
        "-dumpbase -dumpbase-ext -dumpdir --dumpbase --dumpbase-ext --dumpdir",
        only=GCC,
    ),
    FlagRow(_.REAL, ValuePlace.NONE, "-I- --include-barrier -MG --print-missing-file-dependencies -MV"),
    FlagRow(
        _.REAL, ValuePlace.JOINED, "-d -time -fdump- -fopt-info- -fopt-info= -fcompare-debug -fada-spec -fself-test"
    ),
    FlagRow(
        _.REAL,
        ValuePlace.JOINED,
        "-fdiagnostics-format=sarif-file -fdiagnostics-format=json-file -fdiagnostics-add-output=",
    ),
    FlagRow(
        _.REAL,
        ValuePlace.JOINED,
        "-ftime-report -fmem-report -foffload= -foffload-options= -fresolution= -fltrans -fwpa -fdeps-",
    ),
    FlagRow(_.REAL, ValuePlace.JOINED, "-fsave-optimization-record -foptimization-record-file= -fproc-stat-report"),
    FlagRow(
        _.REAL,
        ValuePlace.BOTH,
        "-MJ -arch -F -iframework -iframeworkwithsysroot -ivfsoverlay -iwithsysroot",
        only=CLANG,
    ),
    FlagRow(
        _.REAL,
        ValuePlace.EQUALS,
        "--serialize-diagnostics -serialize-diagnostics -dependency-file -dependency-dot",
        only=CLANG,
    ),
    FlagRow(
        _.REAL,
        ValuePlace.JOINED,
        "--config --embed-dir -module-file-info -emit-ast -emit-interface-stubs -rewrite",
        only=CLANG,
    ),
    FlagRow(
        _.REAL,
        ValuePlace.JOINED,
        "--cuda --hip --offload -fopenmp-targets= -fopenmp-host -gen-reproducer -fembed-bitcode",
        only=CLANG,
    ),
    FlagRow(_.REAL, ValuePlace.JOINED, "-fcrash-diagnostics -Xarch_ -Xcuda -Xopenmp-target -Xoffload", only=CLANG),
    FlagRow(
        _.REAL,
        ValuePlace.JOINED,
        "--ptxas -cxx-isystem --driver-mode= -cc1 -fdepfile-entry= -stdlib++-isystem",
        only=CLANG,
    ),
    FlagRow(
        _.MODULES,
        ValuePlace.JOINED,
        "-fmodule -fimplicit-modules -fprebuilt- -fbuiltin-module-map -fcxx-modules --precompile",
    ),
    FlagRow(_.MODULES, ValuePlace.JOINED, "-gmodules -fbuild-session -fsystem-module -fno-modules-check", only=CLANG),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-fmodules-reduced -fmodulo-sched -fno-modules -fno-module"),
    FlagRow(_.EMIT_LLVM, ValuePlace.NONE, "-emit-llvm", D, only=CLANG),
    # No effect on which files are read or written
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "-pipe --pipe -ansi --ansi -pedantic --pedantic -pedantic-errors --pedantic-errors -w",
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "--no-warnings --all-warnings --extra-warnings -undef -P --no-line-commands -C --comments -CC",
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "--comments-in-macros -H --trace-includes -traditional --traditional -traditional-cpp",
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "--traditional-cpp -trigraphs --trigraphs -remap -no-canonical-prefixes -canonical-prefixes",
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "--no-canonical-prefixes -pass-exit-codes --pass-exit-codes -no-integrated-cpp --debug",
    ),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-dM -dD -dN -dI -dU -dp -dA -dP --optimize -dMD"),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-W -O --optimize= --warn- --std= -std= --debug="),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-f -g"),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-Ofast -ffast-math -funsafe-math-optimizations", L),
    FlagRow(_.NEUTRAL, ValuePlace.EQUALS, "--param"),
    FlagRow(_.NEUTRAL, ValuePlace.BOTH, "-A"),
    FlagRow(_.NEUTRAL, ValuePlace.EQUALS, "--assert"),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-fopenmp -fopenacc -fgnu-tm -fgnu-runtime -fnext-runtime -fsplit-stack", L),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-fsanitize -fno-sanitize -fopenmp= -fopenmp-simd -ftree-parallelize-loops= -fvtable-verify=",
        L,
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-fuse-ld= -fuse-linker-plugin -fno-use-linker-plugin -fcf-protection -fpie -fPIE -fno-pie",
        L,
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-fno-PIE -fpic -fPIC -fno-pic -fno-PIC -fxray -fcs-profile-generate -fno-rtlib-add-rpath",
        L,
    ),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-fhardened -fno-openmp -fno-profile", L),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-static-libgcc -static-libstdc++ -static-libgfortran -static-libasan -static-libtsan",
        L,
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-static-liblsan -static-libubsan -shared-libgcc -shared-libsan -static-libsan -mshared-libgcc",
        L,
    ),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-pg -p --profile -pthread -pthreads", L),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "-shared --shared -static --static -static-pie --static-pie -pie --pie -no-pie -nopie",
        L | D,
    ),
    FlagRow(
        _.NEUTRAL, ValuePlace.NONE, "-nostartfiles -nodefaultlibs -nolibc -nostdlib++ --no-standard-libraries", L | D
    ),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-nostdlib", L),
    FlagRow(_.RELOCATABLE, ValuePlace.NONE, "-r", L | D),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-rdynamic -s -symbolic --symbolic -t -Z -N -n -X", D),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-m", HL),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-mtune= -mno- -msse -mavx -mmmx -maes -mbmi -mpopcnt -mfma -mf16c -mcmodel= -mrecord-",
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-mpreferred-stack-boundary= -mstack -mindirect-branch -mfunction-return= -mprefer-vector",
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-mstringop-strategy= -mred-zone -mnop-mcount -mpclmul -mcrc32 -mlzcnt -mmovbe -mrdrnd",
    ),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-mpc32 -mpc64 -mpc80 -mdaz-ftz", L),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-m32 -m64 -mx32 -m16 -m31", HLT),
    FlagRow(_.NATIVE, ValuePlace.NONE, "-march=native -mcpu=native", HL),
    FlagRow(_.NATIVE, ValuePlace.NONE, "-mtune=native"),
    FlagRow(_.CHARSET, ValuePlace.JOINED, "-finput-charset= -fexec-charset= -fwide-exec-charset="),
    FlagRow(_.NEUTRAL, ValuePlace.SEPARATE, "-mllvm -mmlir", only=CLANG),
    FlagRow(_.NEUTRAL, ValuePlace.SEPARATE, "-target -meabi -mthread-model -gcc-toolchain -resource-dir", HLT, CLANG),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "--target= --gcc-toolchain= --gcc-install-dir= -stdlib= -resource-dir=",
        HLT,
        CLANG,
    ),
    FlagRow(
        _.NEUTRAL, ValuePlace.JOINED, "-rtlib= --rtlib= -unwindlib= --unwindlib= --ld-path= -static-openmp", L, CLANG
    ),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-nostdlibinc -nobuiltininc", H, CLANG),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "-Qunused-arguments -Qn -Qy -no-opaque-pointers -nogpulib -nohipwrapperinc",
        only=CLANG,
    ),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.NONE,
        "--start-no-unused-arguments --end-no-unused-arguments -noprebind -mkernel",
        only=CLANG,
    ),
    FlagRow(_.REAL, ValuePlace.NONE, "-ObjC -ObjC++", only=CLANG),
    FlagRow(_.INTEGRATED_AS, ValuePlace.NONE, "-integrated-as -fintegrated-as", only=CLANG),
    FlagRow(_.NO_INTEGRATED_AS, ValuePlace.NONE, "-no-integrated-as -fno-integrated-as", only=CLANG),
    FlagRow(_.TO_CC1, ValuePlace.SEPARATE, "-Xclang", only=CLANG),
    # Where headers are looked for
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "-nostdinc --no-standard-includes -nostdinc++", H),
    FlagRow(_.INCLUDE, ValuePlace.BOTH, "-I"),
    FlagRow(_.INCLUDE, ValuePlace.EQUALS, "--include-directory"),
    FlagRow(_.QUOTE, ValuePlace.BOTH, "-iquote"),
    FlagRow(_.SYSTEM, ValuePlace.BOTH, "-isystem"),
    FlagRow(_.SYSTEM_AFTER, ValuePlace.BOTH, "-isystem-after", only=CLANG),
    FlagRow(_.AFTER, ValuePlace.BOTH, "-idirafter"),
    FlagRow(_.AFTER, ValuePlace.EQUALS, "--include-directory-after"),
    FlagRow(_.PREFIX, ValuePlace.BOTH, "-iprefix"),
    FlagRow(_.PREFIX, ValuePlace.EQUALS, "--include-prefix"),
    FlagRow(_.WITH_PREFIX, ValuePlace.BOTH, "-iwithprefix"),
    FlagRow(_.WITH_PREFIX, ValuePlace.EQUALS, "--include-with-prefix --include-with-prefix-after"),
    FlagRow(_.WITH_PREFIX_BEFORE, ValuePlace.BOTH, "-iwithprefixbefore"),
    FlagRow(_.WITH_PREFIX_BEFORE, ValuePlace.EQUALS, "--include-with-prefix-before"),
    FlagRow(_.SYSROOT, ValuePlace.EQUALS, "--sysroot", HLT),
    FlagRow(_.SYSROOT, ValuePlace.BOTH, "-isysroot", H),
    FlagRow(_.NEUTRAL, ValuePlace.NONE, "--no-sysroot-suffix", HL),
    FlagRow(_.NEUTRAL, ValuePlace.BOTH, "-imultilib -imultiarch", H),
    FlagRow(_.TOOL_DIR, ValuePlace.BOTH, "-B", HLT),
    FlagRow(_.TOOL_DIR, ValuePlace.EQUALS, "--prefix", HLT),
    FlagRow(_.SPECS, ValuePlace.JOINED, "-specs= --specs=", HLT),
    FlagRow(_.SPECS, ValuePlace.SEPARATE, "-specs --specs", HLT),
    # What the preprocessor reads and defines
    FlagRow(_.FORCED, ValuePlace.BOTH, "-include -imacros"),
    FlagRow(_.FORCED, ValuePlace.EQUALS, "--include --imacros"),
    FlagRow(_.INCLUDE_PCH, ValuePlace.SEPARATE, "-include-pch", only=CLANG),
    FlagRow(_.DEFINE, ValuePlace.BOTH, "-D"),
    FlagRow(_.DEFINE, ValuePlace.EQUALS, "--define-macro"),
    FlagRow(_.NEUTRAL, ValuePlace.BOTH, "-U"),
    FlagRow(_.NEUTRAL, ValuePlace.EQUALS, "--undefine-macro"),
    # Dependency files
    FlagRow(_.MD, ValuePlace.NONE, "-MD --write-dependencies", D),
    FlagRow(_.MMD, ValuePlace.NONE, "-MMD --write-user-dependencies", D),
    FlagRow(_.MF, ValuePlace.BOTH, "-MF", D),
    FlagRow(_.MT, ValuePlace.BOTH, "-MT", D),
    FlagRow(_.MQ, ValuePlace.BOTH, "-MQ", D),
    FlagRow(_.MP, ValuePlace.NONE, "-MP", D),
    # Through to the parts
    FlagRow(_.TO_PREPROCESSOR_LIST, ValuePlace.JOINED, "-Wp,", D),
    FlagRow(_.TO_PREPROCESSOR, ValuePlace.SEPARATE, "-Xpreprocessor", D),
    FlagRow(_.TO_ASSEMBLER_LIST, ValuePlace.JOINED, "-Wa,"),
    FlagRow(_.TO_ASSEMBLER, ValuePlace.SEPARATE, "-Xassembler"),
    FlagRow(_.TO_ASSEMBLER, ValuePlace.EQUALS, "--for-assembler"),
    FlagRow(_.TO_LINKER_LIST, ValuePlace.JOINED, "-Wl,", D),
    FlagRow(_.TO_LINKER, ValuePlace.SEPARATE, "-Xlinker", D),
    FlagRow(_.TO_LINKER, ValuePlace.EQUALS, "--for-linker", D),
    # Linking
    FlagRow(_.LIBRARY, ValuePlace.BOTH, "-l", D),
    FlagRow(_.LIBRARY_DIR, ValuePlace.BOTH, "-L", D),
    FlagRow(_.LIBRARY_DIR, ValuePlace.EQUALS, "--library-directory", D),
    FlagRow(_.LINK_PAIR, ValuePlace.BOTH, "-T -u -z -e", D),
    FlagRow(_.LINK_PAIR, ValuePlace.EQUALS, "--entry --force-link", D),
    FlagRow(_.LINK_PAIR, ValuePlace.BOTH, "-rpath -h", D, CLANG),
    FlagRow(_.LINK_WORD, ValuePlace.NONE, "-Bsymbolic-functions", D),
    FlagRow(_.LTO, ValuePlace.JOINED, "-flto", L),
    FlagRow(_.NO_LTO, ValuePlace.NONE, "-fno-lto", L),
    FlagRow(
        _.NEUTRAL,
        ValuePlace.JOINED,
        "-flto-partition= -flto-odr -flto-compression-level= -flto-jobs= -fwhole-program",
        L,
    ),
    # Files beside the main output
    FlagRow(_.NOTES, ValuePlace.NONE, "--coverage -coverage", L),
    FlagRow(_.NOTES, ValuePlace.NONE, "-ftest-coverage"),
    FlagRow(_.NOTES_NAME, ValuePlace.JOINED, "-fprofile-note="),
    FlagRow(_.SAVE_TEMPS, ValuePlace.NONE, "-save-temps --save-temps", D),
    FlagRow(_.SAVE_TEMPS, ValuePlace.JOINED, "-save-temps= --save-temps=", D),
    FlagRow(_.SPLIT_DWARF, ValuePlace.JOINED, "-gsplit-dwarf"),
    FlagRow(_.NO_SPLIT_DWARF, ValuePlace.NONE, "-gno-split-dwarf"),
    FlagRow(_.STACK_USAGE, ValuePlace.NONE, "-fstack-usage"),
    FlagRow(_.AUX_INFO, ValuePlace.SEPARATE, "-aux-info", only=GCC),
    FlagRow(_.CALLGRAPH, ValuePlace.JOINED, "-fcallgraph-info", only=GCC),
    FlagRow(_.TIME_TRACE, ValuePlace.NONE, "-ftime-trace", only=CLANG),
    FlagRow(_.REAL, ValuePlace.JOINED, "-ftime-trace=", only=CLANG),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-ftime-trace-granularity=", only=CLANG),
    # Further inputs
    FlagRow(_.PLUGIN, ValuePlace.JOINED, "-fplugin= -fpass-plugin="),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-fplugin-arg-"),
    FlagRow(
        _.INPUT,
        ValuePlace.JOINED,
        "-fprofile-remapping-file= -fprofile-list= -fprofile-sample-use= -fauto-profile-list=",
    ),
    FlagRow(
        _.INPUT,
        ValuePlace.JOINED,
        "-fsanitize-blacklist= -fsanitize-ignorelist= -fsanitize-coverage-allowlist=",
        only=CLANG,
    ),
    FlagRow(
        _.INPUT,
        ValuePlace.JOINED,
        "-fsanitize-coverage-ignorelist= -fsanitize-system-ignorelist= -fthinlto-index=",
        only=CLANG,
    ),
    FlagRow(
        _.INPUT, ValuePlace.JOINED, "-fxray-always-instrument= -fxray-never-instrument= -fxray-attr-list=", only=CLANG
    ),
    FlagRow(_.INPUT, ValuePlace.JOINED, "-fmemory-profile-use=", only=CLANG),
    FlagRow(_.PROFILE_USE, ValuePlace.NONE, "-fprofile-use -fbranch-probabilities", L),
    FlagRow(_.PROFILE_USE, ValuePlace.JOINED, "-fprofile-use=", L),
    FlagRow(_.PROFILE_DIR, ValuePlace.JOINED, "-fprofile-dir="),
    FlagRow(_.PROFILE_MAKE, ValuePlace.JOINED, "-fprofile-generate -fprofile-arcs", L),
    FlagRow(_.AUTO_PROFILE, ValuePlace.NONE, "-fauto-profile", only=GCC),
    FlagRow(_.AUTO_PROFILE, ValuePlace.JOINED, "-fauto-profile=", only=GCC),
    FlagRow(_.CLANG_PROFILE, ValuePlace.JOINED, "-fprofile-instr-use -fcs-profile-use", L, CLANG),
    FlagRow(_.NEUTRAL, ValuePlace.JOINED, "-fprofile-instr-generate", L, CLANG),
)
del _
