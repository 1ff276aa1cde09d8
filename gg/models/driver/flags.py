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


class Arity(Enum):
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


class Marks(Flag):
    """Whom else an option concerns."""

    NONE = 0
    HEADERS = auto()  # changes the compiler's own include directories
    LINK = auto()  # changes the driver's own part of a link
    TOOLS = auto()  # changes which programs run
    DROP = auto()  # left out when the compiler is asked for a source's dependencies


H, L, D = Marks.HEADERS, Marks.LINK, Marks.DROP
HL = H | L
HLT = HL | Marks.TOOLS
GCC, CLANG = "gcc", "clang"


@slotted()
class Row:
    """Options that behave alike. `only`: the flavour that knows them, both if empty."""

    effect: Effect
    arity: Arity
    spellings: str
    marks: Marks = Marks.NONE
    only: str = ""


_ = Effect
ROWS: tuple[Row, ...] = (
    # What to do
    Row(_.COMPILE, Arity.NONE, "-c --compile", D),
    Row(_.ASSEMBLY, Arity.NONE, "-S --assemble", D),
    Row(_.PREPROCESS, Arity.NONE, "-E --preprocess", D),
    Row(_.OUTPUT, Arity.BOTH, "-o", D),
    Row(_.OUTPUT, Arity.EQUALS, "--output", D),
    Row(_.LANGUAGE, Arity.BOTH, "-x"),
    Row(_.LANGUAGE, Arity.EQUALS, "--language"),
    Row(
        _.QUESTION,
        Arity.NONE,
        "-### --version -version --help -Q -dumpversion -dumpfullversion -dumpmachine -dumpspecs",
    ),
    Row(
        _.QUESTION, Arity.NONE, "--target-help -fsyntax-only -M -MM --dependencies --user-dependencies -dumpreleasetype"
    ),
    Row(_.QUESTION, Arity.JOINED, "--help= --print- -print- --completion="),
    Row(_.QUESTION, Arity.NONE, "-help --help-hidden --autocomplete --analyze -verify-pch", only=CLANG),
    Row(_.QUESTION, Arity.JOINED, "--autocomplete=", only=CLANG),
    Row(_.VERBOSE, Arity.NONE, "-v --verbose"),
    Row(_.REAL, Arity.BOTH, "-wrapper"),
    Row(
        _.REAL,
        Arity.SEPARATE,
        "-dumpbase -dumpbase-ext -dumpdir --dumpbase --dumpbase-ext --dumpdir",
        only=GCC,
    ),
    Row(_.REAL, Arity.NONE, "-I- --include-barrier -MG --print-missing-file-dependencies -MV"),
    Row(_.REAL, Arity.JOINED, "-d -time -fdump- -fopt-info- -fopt-info= -fcompare-debug -fada-spec -fself-test"),
    Row(
        _.REAL, Arity.JOINED, "-fdiagnostics-format=sarif-file -fdiagnostics-format=json-file -fdiagnostics-add-output="
    ),
    Row(
        _.REAL,
        Arity.JOINED,
        "-ftime-report -fmem-report -foffload= -foffload-options= -fresolution= -fltrans -fwpa -fdeps-",
    ),
    Row(_.REAL, Arity.JOINED, "-fsave-optimization-record -foptimization-record-file= -fproc-stat-report"),
    Row(_.REAL, Arity.BOTH, "-MJ -arch -F -iframework -iframeworkwithsysroot -ivfsoverlay -iwithsysroot", only=CLANG),
    Row(
        _.REAL,
        Arity.EQUALS,
        "--serialize-diagnostics -serialize-diagnostics -dependency-file -dependency-dot",
        only=CLANG,
    ),
    Row(
        _.REAL,
        Arity.JOINED,
        "--config --embed-dir -module-file-info -emit-ast -emit-interface-stubs -rewrite",
        only=CLANG,
    ),
    Row(
        _.REAL,
        Arity.JOINED,
        "--cuda --hip --offload -fopenmp-targets= -fopenmp-host -gen-reproducer -fembed-bitcode",
        only=CLANG,
    ),
    Row(_.REAL, Arity.JOINED, "-fcrash-diagnostics -Xarch_ -Xcuda -Xopenmp-target -Xoffload", only=CLANG),
    Row(
        _.REAL, Arity.JOINED, "--ptxas -cxx-isystem --driver-mode= -cc1 -fdepfile-entry= -stdlib++-isystem", only=CLANG
    ),
    Row(
        _.MODULES,
        Arity.JOINED,
        "-fmodule -fimplicit-modules -fprebuilt- -fbuiltin-module-map -fcxx-modules --precompile",
    ),
    Row(_.MODULES, Arity.JOINED, "-gmodules -fbuild-session -fsystem-module -fno-modules-check", only=CLANG),
    Row(_.NEUTRAL, Arity.JOINED, "-fmodules-reduced -fmodulo-sched -fno-modules -fno-module"),
    Row(_.EMIT_LLVM, Arity.NONE, "-emit-llvm", D, only=CLANG),
    # No effect on which files are read or written
    Row(_.NEUTRAL, Arity.NONE, "-pipe --pipe -ansi --ansi -pedantic --pedantic -pedantic-errors --pedantic-errors -w"),
    Row(
        _.NEUTRAL,
        Arity.NONE,
        "--no-warnings --all-warnings --extra-warnings -undef -P --no-line-commands -C --comments -CC",
    ),
    Row(_.NEUTRAL, Arity.NONE, "--comments-in-macros -H --trace-includes -traditional --traditional -traditional-cpp"),
    Row(
        _.NEUTRAL,
        Arity.NONE,
        "--traditional-cpp -trigraphs --trigraphs -remap -no-canonical-prefixes -canonical-prefixes",
    ),
    Row(_.NEUTRAL, Arity.NONE, "--no-canonical-prefixes -pass-exit-codes --pass-exit-codes -no-integrated-cpp --debug"),
    Row(_.NEUTRAL, Arity.NONE, "-dM -dD -dN -dI -dU -dp -dA -dP --optimize -dMD"),
    Row(_.NEUTRAL, Arity.JOINED, "-W -O --optimize= --warn- --std= -std= --debug="),
    Row(_.NEUTRAL, Arity.JOINED, "-f -g"),
    Row(_.NEUTRAL, Arity.JOINED, "-Ofast -ffast-math -funsafe-math-optimizations", L),
    Row(_.NEUTRAL, Arity.EQUALS, "--param"),
    Row(_.NEUTRAL, Arity.BOTH, "-A"),
    Row(_.NEUTRAL, Arity.EQUALS, "--assert"),
    Row(_.NEUTRAL, Arity.NONE, "-fopenmp -fopenacc -fgnu-tm -fgnu-runtime -fnext-runtime -fsplit-stack", L),
    Row(
        _.NEUTRAL,
        Arity.JOINED,
        "-fsanitize -fno-sanitize -fopenmp= -fopenmp-simd -ftree-parallelize-loops= -fvtable-verify=",
        L,
    ),
    Row(
        _.NEUTRAL,
        Arity.JOINED,
        "-fuse-ld= -fuse-linker-plugin -fno-use-linker-plugin -fcf-protection -fpie -fPIE -fno-pie",
        L,
    ),
    Row(
        _.NEUTRAL,
        Arity.JOINED,
        "-fno-PIE -fpic -fPIC -fno-pic -fno-PIC -fxray -fcs-profile-generate -fno-rtlib-add-rpath",
        L,
    ),
    Row(_.NEUTRAL, Arity.JOINED, "-fhardened -fno-openmp -fno-profile", L),
    Row(
        _.NEUTRAL,
        Arity.JOINED,
        "-static-libgcc -static-libstdc++ -static-libgfortran -static-libasan -static-libtsan",
        L,
    ),
    Row(
        _.NEUTRAL,
        Arity.JOINED,
        "-static-liblsan -static-libubsan -shared-libgcc -shared-libsan -static-libsan -mshared-libgcc",
        L,
    ),
    Row(_.NEUTRAL, Arity.NONE, "-pg -p --profile -pthread -pthreads", L),
    Row(
        _.NEUTRAL,
        Arity.NONE,
        "-shared --shared -static --static -static-pie --static-pie -pie --pie -no-pie -nopie",
        L | D,
    ),
    Row(_.NEUTRAL, Arity.NONE, "-nostartfiles -nodefaultlibs -nolibc -nostdlib++ --no-standard-libraries", L | D),
    Row(_.NEUTRAL, Arity.NONE, "-nostdlib", L),
    Row(_.RELOCATABLE, Arity.NONE, "-r", L | D),
    Row(_.NEUTRAL, Arity.NONE, "-rdynamic -s -symbolic --symbolic -t -Z -N -n -X", D),
    Row(_.NEUTRAL, Arity.JOINED, "-m", HL),
    Row(
        _.NEUTRAL, Arity.JOINED, "-mtune= -mno- -msse -mavx -mmmx -maes -mbmi -mpopcnt -mfma -mf16c -mcmodel= -mrecord-"
    ),
    Row(
        _.NEUTRAL,
        Arity.JOINED,
        "-mpreferred-stack-boundary= -mstack -mindirect-branch -mfunction-return= -mprefer-vector",
    ),
    Row(
        _.NEUTRAL, Arity.JOINED, "-mstringop-strategy= -mred-zone -mnop-mcount -mpclmul -mcrc32 -mlzcnt -mmovbe -mrdrnd"
    ),
    Row(_.NEUTRAL, Arity.JOINED, "-mpc32 -mpc64 -mpc80 -mdaz-ftz", L),
    Row(_.NEUTRAL, Arity.NONE, "-m32 -m64 -mx32 -m16 -m31", HLT),
    Row(_.NATIVE, Arity.NONE, "-march=native -mcpu=native", HL),
    Row(_.NATIVE, Arity.NONE, "-mtune=native"),
    Row(_.CHARSET, Arity.JOINED, "-finput-charset= -fexec-charset= -fwide-exec-charset="),
    Row(_.NEUTRAL, Arity.SEPARATE, "-mllvm -mmlir", only=CLANG),
    Row(_.NEUTRAL, Arity.SEPARATE, "-target -meabi -mthread-model -gcc-toolchain -resource-dir", HLT, CLANG),
    Row(_.NEUTRAL, Arity.JOINED, "--target= --gcc-toolchain= --gcc-install-dir= -stdlib= -resource-dir=", HLT, CLANG),
    Row(_.NEUTRAL, Arity.JOINED, "-rtlib= --rtlib= -unwindlib= --unwindlib= --ld-path= -static-openmp", L, CLANG),
    Row(_.NEUTRAL, Arity.NONE, "-nostdlibinc -nobuiltininc", H, CLANG),
    Row(_.NEUTRAL, Arity.NONE, "-Qunused-arguments -Qn -Qy -no-opaque-pointers -nogpulib -nohipwrapperinc", only=CLANG),
    Row(_.NEUTRAL, Arity.NONE, "--start-no-unused-arguments --end-no-unused-arguments -noprebind -mkernel", only=CLANG),
    Row(_.REAL, Arity.NONE, "-ObjC -ObjC++", only=CLANG),
    Row(_.INTEGRATED_AS, Arity.NONE, "-integrated-as -fintegrated-as", only=CLANG),
    Row(_.NO_INTEGRATED_AS, Arity.NONE, "-no-integrated-as -fno-integrated-as", only=CLANG),
    Row(_.TO_CC1, Arity.SEPARATE, "-Xclang", only=CLANG),
    # Where headers are looked for
    Row(_.NEUTRAL, Arity.NONE, "-nostdinc --no-standard-includes -nostdinc++", H),
    Row(_.INCLUDE, Arity.BOTH, "-I"),
    Row(_.INCLUDE, Arity.EQUALS, "--include-directory"),
    Row(_.QUOTE, Arity.BOTH, "-iquote"),
    Row(_.SYSTEM, Arity.BOTH, "-isystem"),
    Row(_.SYSTEM_AFTER, Arity.BOTH, "-isystem-after", only=CLANG),
    Row(_.AFTER, Arity.BOTH, "-idirafter"),
    Row(_.AFTER, Arity.EQUALS, "--include-directory-after"),
    Row(_.PREFIX, Arity.BOTH, "-iprefix"),
    Row(_.PREFIX, Arity.EQUALS, "--include-prefix"),
    Row(_.WITH_PREFIX, Arity.BOTH, "-iwithprefix"),
    Row(_.WITH_PREFIX, Arity.EQUALS, "--include-with-prefix --include-with-prefix-after"),
    Row(_.WITH_PREFIX_BEFORE, Arity.BOTH, "-iwithprefixbefore"),
    Row(_.WITH_PREFIX_BEFORE, Arity.EQUALS, "--include-with-prefix-before"),
    Row(_.SYSROOT, Arity.EQUALS, "--sysroot", HLT),
    Row(_.SYSROOT, Arity.BOTH, "-isysroot", H),
    Row(_.NEUTRAL, Arity.NONE, "--no-sysroot-suffix", HL),
    Row(_.NEUTRAL, Arity.BOTH, "-imultilib -imultiarch", H),
    Row(_.TOOL_DIR, Arity.BOTH, "-B", HLT),
    Row(_.TOOL_DIR, Arity.EQUALS, "--prefix", HLT),
    Row(_.SPECS, Arity.JOINED, "-specs= --specs=", HLT),
    Row(_.SPECS, Arity.SEPARATE, "-specs --specs", HLT),
    # What the preprocessor reads and defines
    Row(_.FORCED, Arity.BOTH, "-include -imacros"),
    Row(_.FORCED, Arity.EQUALS, "--include --imacros"),
    Row(_.INCLUDE_PCH, Arity.SEPARATE, "-include-pch", only=CLANG),
    Row(_.DEFINE, Arity.BOTH, "-D"),
    Row(_.DEFINE, Arity.EQUALS, "--define-macro"),
    Row(_.NEUTRAL, Arity.BOTH, "-U"),
    Row(_.NEUTRAL, Arity.EQUALS, "--undefine-macro"),
    # Dependency files
    Row(_.MD, Arity.NONE, "-MD --write-dependencies", D),
    Row(_.MMD, Arity.NONE, "-MMD --write-user-dependencies", D),
    Row(_.MF, Arity.BOTH, "-MF", D),
    Row(_.MT, Arity.BOTH, "-MT", D),
    Row(_.MQ, Arity.BOTH, "-MQ", D),
    Row(_.MP, Arity.NONE, "-MP", D),
    # Through to the parts
    Row(_.TO_PREPROCESSOR_LIST, Arity.JOINED, "-Wp,", D),
    Row(_.TO_PREPROCESSOR, Arity.SEPARATE, "-Xpreprocessor", D),
    Row(_.TO_ASSEMBLER_LIST, Arity.JOINED, "-Wa,"),
    Row(_.TO_ASSEMBLER, Arity.SEPARATE, "-Xassembler"),
    Row(_.TO_ASSEMBLER, Arity.EQUALS, "--for-assembler"),
    Row(_.TO_LINKER_LIST, Arity.JOINED, "-Wl,", D),
    Row(_.TO_LINKER, Arity.SEPARATE, "-Xlinker", D),
    Row(_.TO_LINKER, Arity.EQUALS, "--for-linker", D),
    # Linking
    Row(_.LIBRARY, Arity.BOTH, "-l", D),
    Row(_.LIBRARY_DIR, Arity.BOTH, "-L", D),
    Row(_.LIBRARY_DIR, Arity.EQUALS, "--library-directory", D),
    Row(_.LINK_PAIR, Arity.BOTH, "-T -u -z -e", D),
    Row(_.LINK_PAIR, Arity.EQUALS, "--entry --force-link", D),
    Row(_.LINK_PAIR, Arity.BOTH, "-rpath -h", D, CLANG),
    Row(_.LINK_WORD, Arity.NONE, "-Bsymbolic-functions", D),
    Row(_.LTO, Arity.JOINED, "-flto", L),
    Row(_.NO_LTO, Arity.NONE, "-fno-lto", L),
    Row(_.NEUTRAL, Arity.JOINED, "-flto-partition= -flto-odr -flto-compression-level= -flto-jobs= -fwhole-program", L),
    # Files beside the main output
    Row(_.NOTES, Arity.NONE, "--coverage -coverage", L),
    Row(_.NOTES, Arity.NONE, "-ftest-coverage"),
    Row(_.NOTES_NAME, Arity.JOINED, "-fprofile-note="),
    Row(_.SAVE_TEMPS, Arity.NONE, "-save-temps --save-temps", D),
    Row(_.SAVE_TEMPS, Arity.JOINED, "-save-temps= --save-temps=", D),
    Row(_.SPLIT_DWARF, Arity.JOINED, "-gsplit-dwarf"),
    Row(_.NO_SPLIT_DWARF, Arity.NONE, "-gno-split-dwarf"),
    Row(_.STACK_USAGE, Arity.NONE, "-fstack-usage"),
    Row(_.AUX_INFO, Arity.SEPARATE, "-aux-info", only=GCC),
    Row(_.CALLGRAPH, Arity.JOINED, "-fcallgraph-info", only=GCC),
    Row(_.TIME_TRACE, Arity.NONE, "-ftime-trace", only=CLANG),
    Row(_.REAL, Arity.JOINED, "-ftime-trace=", only=CLANG),
    Row(_.NEUTRAL, Arity.JOINED, "-ftime-trace-granularity=", only=CLANG),
    # Further inputs
    Row(_.PLUGIN, Arity.JOINED, "-fplugin= -fpass-plugin="),
    Row(_.NEUTRAL, Arity.JOINED, "-fplugin-arg-"),
    Row(_.INPUT, Arity.JOINED, "-fprofile-remapping-file= -fprofile-list= -fprofile-sample-use= -fauto-profile-list="),
    Row(
        _.INPUT, Arity.JOINED, "-fsanitize-blacklist= -fsanitize-ignorelist= -fsanitize-coverage-allowlist=", only=CLANG
    ),
    Row(
        _.INPUT,
        Arity.JOINED,
        "-fsanitize-coverage-ignorelist= -fsanitize-system-ignorelist= -fthinlto-index=",
        only=CLANG,
    ),
    Row(_.INPUT, Arity.JOINED, "-fxray-always-instrument= -fxray-never-instrument= -fxray-attr-list=", only=CLANG),
    Row(_.INPUT, Arity.JOINED, "-fmemory-profile-use=", only=CLANG),
    Row(_.PROFILE_USE, Arity.NONE, "-fprofile-use -fbranch-probabilities", L),
    Row(_.PROFILE_USE, Arity.JOINED, "-fprofile-use=", L),
    Row(_.PROFILE_DIR, Arity.JOINED, "-fprofile-dir="),
    Row(_.PROFILE_MAKE, Arity.JOINED, "-fprofile-generate -fprofile-arcs", L),
    Row(_.AUTO_PROFILE, Arity.NONE, "-fauto-profile", only=GCC),
    Row(_.AUTO_PROFILE, Arity.JOINED, "-fauto-profile=", only=GCC),
    Row(_.CLANG_PROFILE, Arity.JOINED, "-fprofile-instr-use -fcs-profile-use", L, CLANG),
    Row(_.NEUTRAL, Arity.JOINED, "-fprofile-instr-generate", L, CLANG),
)
del _
